"""What requests cost: prices, the largest usage of a request, and the bill of a usage. Pure but for the data files.

Map, from the bottom up:

* `price`          one immutable version of a model's rates; `charge` makes an amount of a usage and a price
* `facts`          what an estimate must know of a model: windows, tokenizer family, picture and sound rules
* `tokens`         counts o200k_base tokens from our own copy of the ranks
* `images`, `audio`, `documents`   sizes and durations of media from their headers, and the tokens they make
* `tools`          hosted tools: their largest number of calls
* `forecast`       the largest usage of a request; the usage of a reply whose provider reported none
* `ceiling`        the output that an amount of money affords
* `published`      genai-prices, read once and made into flat rates; `compile` writes the snapshot of it
* `snapshot`       the compiled facts and prices as they are shipped in `data/`
* `book`           the price of a model now: published prices, our corrections, the operator's own, rate and markup
"""
