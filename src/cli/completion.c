// `traceo completion`: scripts for the shells, made of the tables.

#include "app/app.h"
#include "cli/run.h"

static void add_flags(const Command *command, const char *prefix, Builder *out) {
    unsigned bit = 1u << (command - commands);
    for (size_t i = 0; i < FLAG_COUNT; i++) {
        if (flags[i].commands & bit) builder_addf(out, "%s--%.*s", prefix, TEXT_ARG(flags[i].name));
    }
    for (size_t i = 0; command->settings && i < SETTING_COUNT; i++) {
        builder_addf(out, "%s--%.*s", prefix, TEXT_ARG(setting_rows[i].key));
    }
}

// The words among a usage line's arguments: small letters are words, capitals stand for something
// else.
static void add_words(Text arguments, const char *prefix, Builder *out) {
    size_t start = 0;
    for (size_t i = 0; i <= arguments.len; i++) {
        char c = i < arguments.len ? arguments.at[i] : ' ';
        if (c >= 'a' && c <= 'z') continue;
        bool capitals = c >= 'A' && c <= 'Z';
        if (i > start && !capitals)
            builder_addf(out, "%s%.*s", prefix, TEXT_ARG(text_slice(arguments, start, i)));
        start = i + 1;
    }
}

static void print_bash(Builder *out) {
    builder_add(out, TEXT("# bash completion of traceo; made by `traceo completion bash`\n"
                          "_traceo() {\n"
                          "    local word=${COMP_WORDS[COMP_CWORD]} words=\n"
                          "    if [ \"$COMP_CWORD\" -eq 1 ]; then\n"
                          "        words=\""));
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        if (commands[i].shown) builder_addf(out, "%.*s ", TEXT_ARG(commands[i].name));
    }
    builder_add(out, TEXT("--help --version\"\n    else\n        case ${COMP_WORDS[1]} in\n"));
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        if (!commands[i].shown) continue;
        builder_addf(out, "        %.*s) words=\"", TEXT_ARG(commands[i].name));
        add_words(commands[i].arguments, " ", out);
        add_flags(&commands[i], " ", out);
        builder_add(out, TEXT("\" ;;\n"));
    }
    builder_add(out, TEXT("        esac\n"
                          "    fi\n"
                          "    COMPREPLY=($(compgen -W \"$words\" -- \"$word\"))\n"
                          "}\n"
                          "complete -o default -F _traceo traceo\n"));
}

// Within single quotes and the brackets and colons of _arguments.
static void add_zsh(Text text, Builder *out) {
    for (size_t i = 0; i < text.len; i++) {
        char c = text.at[i];
        if (c == '\'') {
            builder_add(out, TEXT("'\\''"));
            continue;
        }
        if (c == '[' || c == ']' || c == ':' || c == '\\') builder_add_char(out, '\\');
        builder_add_char(out, c);
    }
}

static void add_zsh_flag(Text name, Text argument, Text help, bool many, Builder *out) {
    builder_addf(out, " \\\n            '%s--%.*s%s[", many ? "*" : "", TEXT_ARG(name),
                 argument.len > 0 ? "=" : "");
    add_zsh(help, out);
    builder_add(out, TEXT("]"));
    if (argument.len > 0) {
        builder_add_char(out, ':');
        add_zsh(argument, out);
        builder_add(out, text_equal(argument, TEXT("FILE")) ? TEXT(":_files") : TEXT(":"));
    }
    builder_add_char(out, '\'');
}

static void add_zsh_command(const Command *command, Builder *out) {
    builder_addf(out, "        %.*s) _arguments", TEXT_ARG(command->name));
    for (size_t i = 0; i < FLAG_COUNT; i++) {
        if (flags[i].commands & 1u << (command - commands))
            add_zsh_flag(flags[i].name, flags[i].argument, flags[i].help, flags[i].many, out);
    }
    for (size_t i = 0; command->settings && i < SETTING_COUNT; i++) {
        add_zsh_flag(setting_rows[i].key, TEXT("value"), setting_rows[i].help, false, out);
    }
    AUTO(builder_free) Builder words = {0};
    add_words(command->arguments, " ", &words);
    if (words.len > 0)
        builder_addf(out, " \\\n            '1:what:(%.*s)'",
                     TEXT_ARG(text_trim(builder_text(&words))));
    builder_add(out, TEXT(" \\\n            '*:file:_files' ;;\n"));
}

static void print_zsh(Builder *out) {
    builder_add(
        out, TEXT("#compdef traceo\n# zsh completion of traceo; made by `traceo completion zsh`\n"
                  "_traceo() {\n"
                  "    local -a commands=(\n"));
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        if (!commands[i].shown) continue;
        builder_addf(out, "        '%.*s:", TEXT_ARG(commands[i].name));
        add_zsh(commands[i].help, out);
        builder_add(out, TEXT("'\n"));
    }
    builder_add(out, TEXT("    )\n"
                          "    if (( CURRENT == 2 )); then\n"
                          "        _describe command commands\n"
                          "        return\n"
                          "    fi\n"
                          "    local name=${words[2]}\n"
                          "    shift words\n"
                          "    (( CURRENT-- ))\n"
                          "    case $name in\n"));
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        if (commands[i].shown) add_zsh_command(&commands[i], out);
    }
    builder_add(out, TEXT("    esac\n}\nif [ \"$funcstack[1]\" = _traceo ]; then _traceo \"$@\"; "
                          "else compdef _traceo traceo; fi\n"));
}

ExitCode command_completion(Call *call, Error *err) {
    Text shell = call_argument(call, 0);
    AUTO(builder_free) Builder out = {0};
    if (text_equal(shell, TEXT("bash"))) {
        print_bash(&out);
    } else if (text_equal(shell, TEXT("zsh"))) {
        print_zsh(&out);
    } else {
        return call_usage(call, err, "say for which shell: bash or zsh");
    }
    return call_print(builder_text(&out), err);
}
