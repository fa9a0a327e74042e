"""The parts of tools/bench_peers.py: installing, processes, the peers' servers, the work to compare, the report."""
