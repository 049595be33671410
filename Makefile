# Aliases of ./dev, for fingers that type make.
all: build
check: test
build test run fmt asan tsan fuzz bench clang e2e gates unit setup help:
	@./dev $@
.PHONY: all check build test run fmt asan tsan fuzz bench clang e2e gates unit setup help
