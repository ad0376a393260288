using System.CommandLine;
using System.Runtime.InteropServices;
using IlgpuLoader.Cli.Commands;
using IlgpuLoader.Cli.Output;

namespace IlgpuLoader.Cli;

/// <summary>The command line as a whole: parses, runs one command, and turns its outcome into text and an exit code.</summary>
internal static class Tool
{
    private static readonly Option<bool> JsonOption = new("--json")
    {
        Description = "Write one JSON document with a schema field to standard output, errors included.",
        Recursive = true,
    };

    private static readonly Option<bool> QuietOption = new("--quiet", "-q")
    {
        Description = "Leave out warnings and progress.",
        Recursive = true,
    };

    private static readonly Option<bool> VerboseOption = new("--verbose", "-v")
    {
        Description = "Say more: the plan of a load, and where an error comes from.",
        Recursive = true,
    };

    /// <summary>Runs with the process's own streams and signals.</summary>
    public static async Task<int> RunFromConsoleAsync(string[] args)
    {
        using var stop = new CancellationTokenSource();
        using var interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, context => Stop(context, stop));
        using var terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, context => Stop(context, stop));
        // A large buffer and no flush a line: tables of ten thousand tensors are one write in a hundred.
        var output = new StreamWriter(Console.OpenStandardOutput(), bufferSize: 1 << 16) { AutoFlush = false };
        await using (output.ConfigureAwait(false))
        {
            var console = new CommandConsole(output, Console.Error, ShowProgress: !Console.IsErrorRedirected);
            return await RunAsync(args, console, stop.Token).ConfigureAwait(false);
        }
    }

    /// <summary>Runs a command line.</summary>
    /// <returns>The exit code.</returns>
    public static async Task<int> RunAsync(string[] args, CommandConsole console, CancellationToken cancellationToken)
    {
        var parsed = CreateRoot(console).Parse(args);
        console = console with
        {
            Json = args.Contains(JsonOption.Name),
            Quiet = parsed.GetValue(QuietOption),
            Verbose = parsed.GetValue(VerboseOption),
        };
        if (parsed.Errors.Count > 0)
        {
            return ErrorReport.Write(
                console, new UsageException($"{string.Join(" ", parsed.Errors.Select(error => error.Message))} See --help."));
        }

        try
        {
            return await parsed.InvokeAsync(
                new InvocationConfiguration
                {
                    Output = console.Out,
                    Error = console.Error,
                    EnableDefaultExceptionHandler = false,
                    // Signals are this class's business: a command ends within a slot's time by itself.
                    ProcessTerminationTimeout = null,
                },
                cancellationToken).ConfigureAwait(false);
        }
        catch (Exception exception)
        {
            return ErrorReport.Write(console, exception);
        }
        finally
        {
            await console.Out.FlushAsync(CancellationToken.None).ConfigureAwait(false);
        }
    }

    private static RootCommand CreateRoot(CommandConsole console)
    {
        var root = new RootCommand(
            "Loads model checkpoints into GPU or host memory, and shows what is in them.\n\n"
            + "Exit codes: 0 ok, 1 unexpected, 2 usage, 3 not found or unreadable, 4 invalid checkpoint, "
            + "5 valid but cannot be done, 7 device or memory, 130 cancelled.")
        {
            JsonOption,
            QuietOption,
            VerboseOption,
        };
        foreach (var command in new CommandBase[]
        {
            new InspectCommand(),
            new VerifyCommand(),
            new HashCommand(),
            new LoadCommand(),
            new SynthCommand(),
            new DevicesCommand(),
        })
        {
            root.Add(command.Build(parsed => console with
            {
                Json = parsed.GetValue(JsonOption),
                Quiet = parsed.GetValue(QuietOption),
                Verbose = parsed.GetValue(VerboseOption),
            }));
        }

        return root;
    }

    // The first signal asks the command to end; a second one, sent by somebody who is done waiting, ends the process.
    private static void Stop(PosixSignalContext context, CancellationTokenSource stop)
    {
        if (!stop.IsCancellationRequested)
        {
            context.Cancel = true;
            stop.Cancel();
        }
    }
}
