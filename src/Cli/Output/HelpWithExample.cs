using System.CommandLine;
using System.CommandLine.Help;
using System.CommandLine.Invocation;

namespace IlgpuLoader.Cli.Output;

/// <summary>
/// The parser's help with an example below it, where in a list of commands examples would hide the list; and, of the tool as
/// a whole, the exit codes.
/// </summary>
/// <param name="help">The parser's help.</param>
/// <param name="exampleOf">A command line that works, for each command.</param>
internal sealed class HelpWithExample(HelpAction help, Func<Command, string> exampleOf) : SynchronousCommandLineAction
{
    /// <inheritdoc/>
    public override bool ClearsParseErrors => true;

    /// <inheritdoc/>
    public override int Invoke(ParseResult parseResult)
    {
        var exitCode = help.Invoke(parseResult);
        var command = parseResult.CommandResult.Command;
        var output = parseResult.InvocationConfiguration.Output;
        output.WriteLine($"Example:\n  ilgpu-loader {exampleOf(command)}");
        if (command is RootCommand)
        {
            output.WriteLine();
            output.WriteLine(
                "Exit codes:\n  0 ok, 1 unexpected, 2 usage, 3 not found or unreadable, 4 invalid checkpoint, "
                + "5 valid but cannot be done, 6 differs, 7 device or memory, 8 no answer from a server or service, 130 cancelled.");
        }

        return exitCode;
    }
}
