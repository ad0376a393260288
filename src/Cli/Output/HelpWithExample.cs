using System.CommandLine;
using System.CommandLine.Help;
using System.CommandLine.Invocation;

namespace IlgpuLoader.Cli.Output;

/// <summary>The parser's help with an example below it: in a list of commands, examples would hide the list.</summary>
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
        parseResult.InvocationConfiguration.Output.WriteLine($"Example:\n  ilgpu-loader {exampleOf(parseResult.CommandResult.Command)}");
        return exitCode;
    }
}
