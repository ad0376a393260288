using System.CommandLine.Parsing;
using System.Text.RegularExpressions;

namespace IlgpuLoader.Cli.Output;

/// <summary>
/// What the parser says about a command line, in the words that the commands use for their own options: which option takes
/// what, and what was given instead.
/// </summary>
internal static partial class ParserMessage
{
    private const RegexOptions Options = RegexOptions.ExplicitCapture | RegexOptions.Singleline;

    // The parser's messages are short, whatever the user typed into them.
    private const int Timeout = 1000;

    /// <summary>One line for one error.</summary>
    public static string For(ParseError error)
    {
        // The parser lists what is allowed line by line; an error here is one line.
        var message = string.Join(' ', error.Message.Split('\n', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries));
        if (Unrecognised().Match(message) is { Success: true } unrecognised)
        {
            return Unexpected(unrecognised.Groups["given"].Value);
        }

        if (NotAmong().Match(message) is { Success: true } notAmong && NameOf(error.SymbolResult) is { } name)
        {
            var allowed = notAmong.Groups["allowed"].Value.Replace("' '", ", ", StringComparison.Ordinal);
            return $"{name} takes {(allowed.Contains(", ", StringComparison.Ordinal) ? "one of " : "")}{allowed}, not '{notAmong.Groups["given"].Value}'.";
        }

        if (NoValue().Match(message) is { Success: true } noValue)
        {
            return $"{noValue.Groups["option"].Value} needs a value.";
        }

        if (NoArgument().Match(message) is { Success: true } noArgument)
        {
            return $"{noArgument.Groups["command"].Value} needs {noArgument.Groups["argument"].Value}.";
        }

        // The options that take something else than text take whole numbers.
        if (NotANumber().Match(message) is { Success: true } notANumber)
        {
            return $"{notANumber.Groups["option"].Value} takes a whole number in range, not '{notANumber.Groups["given"].Value}'.";
        }

        return message;
    }

    /// <summary>What stands where nothing like it belongs: an option, or one argument more than there are.</summary>
    public static string Unexpected(string argument) => argument is ['-', _, ..]
        ? $"There is no option '{argument}' here; a path that begins with a dash goes behind --."
        : $"The argument '{argument}' is one too many.";

    private static string? NameOf(SymbolResult? symbol) => symbol switch
    {
        OptionResult option => option.Option.Name,
        ArgumentResult { Parent: OptionResult option } => option.Option.Name,
        ArgumentResult argument => argument.Argument.Name,
        _ => null,
    };

    [GeneratedRegex(@"^Unrecognized command or argument '(?<given>.*)'\.$", Options, Timeout)]
    private static partial Regex Unrecognised();

    [GeneratedRegex("^Argument '(?<given>.*)' not recognized. Must be one of: '(?<allowed>.*)'$", Options, Timeout)]
    private static partial Regex NotAmong();

    [GeneratedRegex(@"^Required argument missing for option: '(?<option>.*)'\.$", Options, Timeout)]
    private static partial Regex NoValue();

    [GeneratedRegex(@"^Required argument '(?<argument>.*)' missing for command: '(?<command>.*)'\.$", Options, Timeout)]
    private static partial Regex NoArgument();

    [GeneratedRegex(@"^Cannot parse argument '(?<given>.*)' for option '(?<option>.*)' as expected type 'System\.(Nullable`1\[System\.)?U?Int(32|64)\]?'\.", Options, Timeout)]
    private static partial Regex NotANumber();
}
