"""Object ACLs: who may view, run, use or manage a job, policy, pool, warehouse, notebook …"""
