// For tests of the codec: columns of values of all kinds, made by chance.
#pragma once

#include "base/test.h"
#include "model/sample.h"

enum { SHAPES = 24 };

static inline double noise(uint64_t *random) {  // 0 … 1
    return (double)(test_random(random) >> 11) * 0x1p-53;
}

static inline void values_shape(unsigned shape, size_t count, uint64_t *random, double *values) {
    double level = 0;
    for (size_t i = 0; i < count; i++) {
        switch (shape) {
            case 0:
                values[i] = 42;
                break;
            case 1:
                values[i] = 1e6 + 15.0 * (double)i;
                break;
            case 2:
                values[i] = level += (double)(test_random(random) % 100);
                break;
            case 3:
                values[i] = level = test_random(random) % 50 == 0
                                        ? 0
                                        : level + (double)(test_random(random) % 1000);
                break;
            case 4:
                values[i] = (double)(int64_t)(5000 + test_random(random) % 2000) / 100.0;
                break;
            case 5:
                values[i] = noise(random);
                break;
            case 6:
                values[i] = double_from_bits(test_random(random));
                break;
            case 7:
                values[i] = i % 10 == 9 ? stale_nan() : (double)(i / 7);
                break;
            case 8:
                values[i] = i % 2 ? 0.0 : -0.0;
                break;
            case 9:
                values[i] = stale_nan();
                break;
            case 10:
                values[i] = double_from_bits(0x7ff8000000000000 + test_random(random) % 3);
                break;
            case 11:
                values[i] = i % 3 == 0 ? INFINITY : i % 3 == 1 ? -INFINITY : 5;
                break;
            case 12:
                values[i] = double_from_bits(test_random(random) % 1000);
                break;  // denormals
            case 13:
                values[i] = 4096.0 * (double)(1000000 + test_random(random) % 5000);
                break;
            case 14:
                values[i] = (double)(float)noise(random);
                break;
            case 15:
                values[i] = level += 0.1;
                break;
            case 16:
                values[i] = i < count / 2 ? 0 : 1;
                break;
            case 17:
                values[i] = i == count / 2 ? 1e300 : (double)(i % 4);
                break;
            case 18:
                values[i] = 9007199254740993.0 + (double)i * 2;
                break;
            case 19:
                values[i] = i == 3 ? 0.123456789 : (double)(i % 5) / 10;
                break;
            case 20:
                values[i] = 9.2e18 - (double)i * 2048;
                break;
            case 21:
                values[i] = i == 0 ? NAN : -(double)i;
                break;
            case 22:
                values[i] =
                    (test_random(random) & 1) ? -1.7976931348623157e308 : 1.7976931348623157e308;
                break;
            default:
                values[i] = (double)(int64_t)test_random(random);
                break;
        }
    }
}
