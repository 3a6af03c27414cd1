"""The estate about itself: health, write counter, faults and clock for tests."""
