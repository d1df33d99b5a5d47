"""How money comes in, and goes back.

* `port`      what a payment provider has to be able to do, in our words
* `yookassa`  YooKassa, through its official SDK
* `cashier`   payments from the order to the deposit
* `refunds`   money back, of what is still free
* `desk`      notices of providers, and the round that asks for what is open
* `vouchers`  codes that the operator makes and customers redeem
* `records`   the rows of `payment` and `refund`

Whatever a provider's notice says, it is only the occasion to ask the provider itself; and whatever is booked, is booked
in the transaction that closes the payment, under a reference that the ledger takes once.
"""
