"""The admin API, `/admin/v1`: what the pages of operators do, for programs.

* `routes`   one typed row for every operation; the server and the document are made of this table
* `bodies`   what requests carry
* `openapi`  the table as an OpenAPI 3.1 document
* `server`   tokens, scopes, `Idempotency-Key`, problems; and the notices of payment providers
"""
