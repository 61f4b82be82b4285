"""The local cloud: several Regions of DynamoDB in one process, joined by a simulated world.

Nothing above this folder imports it; the learner's half reaches it over HTTP alone
(the DynamoDB API, and the lab's own control API below ``/_gtlab/v1``). The one module that
both halves read is the catalogue of Regions, :mod:`gtlab.regions`.

How a request travels: :mod:`app` (HTTP) → :mod:`wire` (who, which Region, what operation) →
:mod:`cloud` (dispatch) → :mod:`engine`, :mod:`groups`, :mod:`tables` or :mod:`streams`.
What a write changed travels on through :mod:`replication`.
"""
