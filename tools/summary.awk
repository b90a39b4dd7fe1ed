# The one-line sum of cargo's `test result:` lines. Set `status` to cargo's exit status: a run that failed without a
# failed test (it did not compile, or a test program crashed) counts as one.
/^test result:/ { passed += $4; failed += $6 }
END {
    if (status != 0 && failed == 0) failed = 1
    printf "%d passed, %d failed\n", passed, failed
}
