#include "color.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const char *color_ink(const char *color)
{
    static const double weights[] = {0.2126, 0.7152, 0.0722};
    double luminance = 0;

    for (int i = 0; i < 3 && strlen(color) == 7; i++) {
        const char digits[] = {color[1 + 2 * i], color[2 + 2 * i], '\0'};
        double part = (double)strtol(digits, NULL, 16) / 255;
        luminance += weights[i] * (part <= 0.04045 ? part / 12.92 : pow((part + 0.055) / 1.055, 2.4));
    }
    return luminance > 0.179 ? "#000000" : "#ffffff";
}
