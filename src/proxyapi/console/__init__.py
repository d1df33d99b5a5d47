"""The personal cabinet: pages for customers and operators, as an application of its own behind the gateway.

app          the Starlette application: routes, errors            security   headers, the proof of the gateway
page         one request: session, form, answer; `get`, `post`    desk       what pages work with
pages/       one module per subject, with its SQL beside it       routes     the list of them all
pen          templates with the reader's words                    speech     languages, dates    numbers  sums
charts       bars and charts as SVG                               icons, nav, done, words
users        who may sign in, links, second factor, limits        sessions, passwords, totp, mail
"""
