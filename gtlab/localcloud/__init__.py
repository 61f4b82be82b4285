"""The local cloud: several Regions of DynamoDB in one process, joined by a simulated world.

The learner's half reaches it over HTTP alone: the DynamoDB API, and the lab's own control API. Above this folder only
:mod:`gtlab.localcloud.process` may be imported. Both halves share :mod:`gtlab.contract`, :mod:`gtlab.regions`,
:mod:`gtlab.permissions`, :mod:`gtlab.redaction` and :mod:`gtlab.judging`.

The path of a request: :mod:`server.app` (HTTP), :mod:`server.requests` (account, Region, operation, checked input),
:mod:`server.driver` (carry out, save, wake when something is due), :mod:`cloud` (dispatch), then :mod:`engine`,
:mod:`globaltables`, :mod:`tables` or :mod:`faults`. A write's changes go on to :mod:`replication` and to the streams.
"""
