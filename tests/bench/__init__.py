"""Measurements beside other libraries: `make bench`.

`engine` comes first: it sets how torch's threads wait and allocate, which torch reads when it is imported.
"""

import engine as engine
