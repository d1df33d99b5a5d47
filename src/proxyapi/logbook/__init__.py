"""The request log: what customers ask to be kept of their requests and answers, also of those that were refused.

record.py        one request while it runs: what passes is gathered, within bounds
packing.py       a finished one as a row: without media, cut, compressed
book.py          rows on their way to the store, off the road of requests; and out of it when their time is over
reading.py       looking for requests, and reading one
conversation.py  both bodies of one as a conversation, whatever dialect they are in

Nothing here may delay a request or fail it: what can't be kept is dropped and counted.
"""
