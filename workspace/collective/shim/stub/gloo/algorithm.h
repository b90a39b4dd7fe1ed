// Stand-in: nothing of this header is needed to call c10d::ProcessGroupGloo. See shim/README.md.
#pragma once
