"""Anonode beside real peers, in one interleaved run; see `python -m benchmarks --help`.

What makes the figures comparable:

* Every round visits every server in turn; one round before is not counted; medians are shown.
* The sender builds every PDU before the clock starts and runs one process per association, so
  that it is not what is measured. It acknowledges at once, so that no server waits for it.
* CPU is that of the server's whole process tree, what it does after its last answer included.
* Servers run as they come, except: DCMTK forks, so that four associations do not wait for each
  other; Orthanc runs without plugins and web server, and syncs its storage (its default).
* Each does what the table says of it; only Anonode and the raw sink's limit are like for like in
  what is on disk when success is answered.
"""
