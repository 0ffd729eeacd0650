"""Action providers, one file each; a new file here is found by itself (docs/howto/add-a-pipeline-action.md)."""

import importlib
import pkgutil

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")
