"""What Callboard is compared with: other Python task systems, in a virtual environment of their own.

Each module here installs itself, submits jobs that do nothing, and works them off, set up as its documentation advises
for many short jobs: ``python -m bench.peers.MODULE install | submit N | work``. ``BENCH_DATABASE_URL``,
``BENCH_AMQP_URL``, ``BENCH_PROCESSES`` and ``BENCH_OPTION`` say where and how.
"""
