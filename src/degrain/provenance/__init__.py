"""What decides a result: the code it runs, the libraries that code imports, deciding parameters, the kind of machine.

Trial keys, the digest of the metric protocol and the code dependencies in dvc.yaml are all derived from here.
"""
