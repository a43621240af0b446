#pragma once
#define LOG_MODULE_REGISTER(name) extern int log_module_##name
__attribute__((format(printf, 1, 2))) void log_line(const char *format, ...);
#define LOG_ERR(...) log_line(__VA_ARGS__)
#define LOG_INF(...) log_line(__VA_ARGS__)
