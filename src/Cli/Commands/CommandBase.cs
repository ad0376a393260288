using System.CommandLine;
using IlgpuLoader.Cli.Output;
using IlgpuLoader.Formats;

namespace IlgpuLoader.Cli.Commands;

/// <summary>One command: its options, and what it does with them.</summary>
internal abstract class CommandBase
{
    /// <summary>Makes the command for the parser.</summary>
    /// <param name="console">Gives the console as the parsed options want it.</param>
    public Command Build(Func<ParseResult, CommandConsole> console)
    {
        var command = new Command(Name, Description);
        Configure(command);
        command.SetAction(async (parsed, cancellationToken) =>
        {
            var output = console(parsed);
            Remote?.Begin(output);
            try
            {
                return await RunAsync(parsed, output, cancellationToken).ConfigureAwait(false);
            }
            finally
            {
                // Also of what failed: whoever pays for bytes wants to know.
                Remote?.WriteFetched(output);
                Remote?.Dispose();
            }
        });
        return command;
    }

    /// <summary>The command's name.</summary>
    public abstract string Name { get; }

    /// <summary>What it does, in a sentence or two.</summary>
    protected abstract string Description { get; }

    /// <summary>A command line that works.</summary>
    public abstract string Example { get; }

    /// <summary>What finds addresses, where the command takes them.</summary>
    protected virtual RemoteArguments? Remote => null;

    /// <summary>Adds arguments and options.</summary>
    protected abstract void Configure(Command command);

    /// <summary>Does the work.</summary>
    /// <returns>The exit code.</returns>
    protected abstract Task<int> RunAsync(ParseResult parsed, CommandConsole console, CancellationToken cancellationToken);

    /// <summary>Writes a checkpoint's warnings.</summary>
    protected static void WriteWarnings(CommandConsole console, IEnumerable<CheckpointWarning> warnings)
    {
        foreach (var warning in warnings)
        {
            console.Warn(Quoted.Plain(warning.ToString()));
        }
    }
}
