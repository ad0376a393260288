using System.CommandLine;
using System.CommandLine.Help;
using System.CommandLine.Parsing;
using System.Globalization;
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
        Description = "Say more: the plan of a load, what is downloaded and tried again, and where an error comes from.",
        Recursive = true,
    };

    /// <summary>Runs with the process's own streams and signals.</summary>
    public static async Task<int> RunFromConsoleAsync(string[] args)
    {
        using var stop = new CancellationTokenSource();
        using var interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, context => Stop(context, stop));
        using var terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, context => Stop(context, stop));
        // A large buffer and no flush a line: tables of ten thousand tensors are one write in a hundred.
        var output = new StreamWriter(new StandardOutput(), bufferSize: 1 << 16) { AutoFlush = false };
        var console = new CommandConsole(output, Console.Error, ShowProgress: !Console.IsErrorRedirected);
        try
        {
            // Not disposed: that would write once more what could not be written. A reader that went away (head) is no
            // failure: the runtime drops what nobody reads.
            return await RunAsync(args, console, stop.Token).ConfigureAwait(false);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return ReportUnwritable(exception);
        }
    }

    /// <summary>Runs a command line.</summary>
    /// <returns>The exit code.</returns>
    public static async Task<int> RunAsync(string[] args, CommandConsole console, CancellationToken cancellationToken)
    {
        // Numbers are written for programs too. The tool knows no other culture, but what it is part of may.
        CultureInfo.CurrentCulture = CultureInfo.InvariantCulture;

        args = SplitOptionToComplete(args);

        // A file's name that begins with @ is a file's name, not a list of more arguments.
        var parsed = CreateRoot(console).Parse(args, new ParserConfiguration { ResponseFileTokenReplacer = null });
        console = console with
        {
            Json = args.TakeWhile(arg => arg != "--").Contains(JsonOption.Name),
            Quiet = parsed.GetValue(QuietOption),
            Verbose = parsed.GetValue(VerboseOption),
        };
        try
        {
            if (UsageErrors(parsed).ToArray() is { Length: > 0 } errors)
            {
                throw new UsageException($"{string.Join(" ", errors)} See --help.");
            }

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
        catch (Exception exception) when (exception is not OutputException)
        {
            return ErrorReport.Write(console, exception);
        }
        finally
        {
            await console.Out.FlushAsync(CancellationToken.None).ConfigureAwait(false);
        }
    }

    private static IEnumerable<string> UsageErrors(ParseResult parsed)
    {
        if (parsed.Errors.Count > 0 && parsed.CommandResult.Command is RootCommand root)
        {
            var names = string.Join(", ", root.Subcommands.Select(command => command.Name));
            yield return parsed.UnmatchedTokens switch
            {
                [] => $"A command is missing; there are {names}.",
                [['-', _, ..] option, ..] => ParserMessage.Unexpected(option),
                [var other, ..] => $"There is no command '{other}'; there are {names}.",
            };
            yield break;
        }

        foreach (var error in parsed.Errors)
        {
            yield return ParserMessage.For(error);
        }

        if (parsed.Action != parsed.CommandResult.Command.Action)
        {
            yield break;
        }

        // The parser takes an option that it does not know for a path, which would then be "not found".
        var literal = parsed.Tokens.SkipWhile(token => token.Type != TokenType.DoubleDash).ToHashSet(ReferenceEqualityComparer.Instance);
        foreach (var token in parsed.CommandResult.Tokens)
        {
            if (token.Value.Length == 0)
            {
                yield return "An argument is empty; is a variable of a script not set?";
            }
            else if (token.Value is ['-', _, ..] && !literal.Contains(token))
            {
                yield return ParserMessage.Unexpected(token.Value);
            }
        }
    }

    // The parser completes the value of "--option value" and fails on that of "--option=value": in the last word the one is
    // made the other, which moves no character.
    private static string[] SplitOptionToComplete(string[] args)
    {
        if (args is not [['[', 's', 'u', 'g', 'g', 'e', 's', 't', ..], var line])
        {
            return args;
        }

        var word = line.LastIndexOf(' ') + 1;
        var sign = line.IndexOf('=', word);
        return sign > 0 && line.AsSpan(word).StartsWith("--") ? [args[0], $"{line[..sign]} {line[(sign + 1)..]}"] : args;
    }

    private static RootCommand CreateRoot(CommandConsole console)
    {
        var root = new RootCommand("Loads model checkpoints into GPU or host memory, and shows what is in them.")
        {
            JsonOption,
            QuietOption,
            VerboseOption,
        };
        CommandBase[] commands =
        [
            new InspectCommand(),
            new VerifyCommand(),
            new AuditCommand(),
            new HashCommand(),
            new ShowCommand(),
            new DiffCommand(),
            new PlanCommand(),
            new LoadCommand(),
            new BenchCommand(),
            new ConvertCommand(),
            new ShardCommand(),
            new SynthCommand(),
            new DownloadCommand(),
            new CacheCommand(),
            new ServeCommand(),
            new HealthCommand(),
            new DevicesCommand(),
            new CompletionsCommand(),
        ];
        foreach (var command in commands)
        {
            root.Add(command.Build(parsed => console with
            {
                Json = parsed.GetValue(JsonOption),
                Quiet = parsed.GetValue(QuietOption),
                Verbose = parsed.GetValue(VerboseOption),
            }));
        }

        foreach (var option in root.Options)
        {
            if (option is HelpOption { Action: HelpAction help } helpOption)
            {
                // The spellings of another system are paths on this one.
                helpOption.Aliases.Remove("/h");
                helpOption.Aliases.Remove("/?");
                helpOption.Description = "Show this help.";
                helpOption.Action = new HelpWithExample(
                    help, asked => (commands.FirstOrDefault(command => command.Name == asked.Name) ?? commands[0]).Example);
            }
            else if (option is VersionOption)
            {
                option.Recursive = true;
                option.Description = "Show the version.";
                // The option refuses company, and every command is that.
                option.Validators.Clear();
            }
        }

        return root;
    }

    // The first signal asks the command to end; a second one, sent by somebody who is done waiting, ends the process.
    private static void Stop(PosixSignalContext context, CancellationTokenSource stop)
    {
        if (stop.IsCancellationRequested)
        {
            ProgressDisplay.ShowCursor();
            return;
        }

        context.Cancel = true;
        stop.Cancel();
    }

    // Standard output or standard error itself fails, which no command can report there.
    private static int ReportUnwritable(Exception exception)
    {
        try
        {
            Console.Error.WriteLine($"error: {exception.Message}");
        }
        catch (Exception second) when (second is IOException or UnauthorizedAccessException)
        {
            // Nobody can be told but by the exit code.
        }

        return ExitCodes.For(exception);
    }
}
