"""The Python language host for a CLI that was built with Go, which brings none.

The engine starts `pulumi-language-python ADDRESS`, reads a port from its first line, and asks the host to run programs, policy packs and
path plugins: each in the virtual environment its own project file names, as its own process.
"""
