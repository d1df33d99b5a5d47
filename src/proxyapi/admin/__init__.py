"""What operators do, for people and programs alike: the console's pages and the admin API call the same functions.

* `office`     the parts that the functions work with, and `doing`: an act and its record in one transaction
* `acts`       the append-only record of what operators did
* `tokens`     what programs show instead of a password
* `customers`  accounts, keys, receipts
* `people`     who signs in to the console
* `cash`       deposits, adjustments, vouchers, payments, refunds
* `prices`     what models cost, markup, exchange rate, and what another markup would have brought
* `providers`  who is connected, how they fare, on and off
* `revenue`    what was earned, what it cost, what was lost
* `house`      the audit and the settings
* `views`      what the functions answer: values that pages show and the API encodes
* `api/`       the table of routes, its OpenAPI document, and the server
"""
