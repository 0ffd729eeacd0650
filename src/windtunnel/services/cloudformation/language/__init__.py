"""CloudFormation's template language: text to template to values.

Pure: no store, no clock, no I/O, plain data in and out, so that all of it also runs in a helper process. What needs the outside (SSM
parameters, exports, resources' identifiers and attributes, macros) is asked for through values that the caller gives. Everything that
is wrong with a template is a `TemplateError` whose text is AWS's.
"""
