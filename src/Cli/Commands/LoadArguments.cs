using System.CommandLine;
using IlgpuLoader.Cli.Output;
using IlgpuLoader.Formats;
using IlgpuLoader.Loading;

namespace IlgpuLoader.Cli.Commands;

/// <summary>What every command that plans a load takes: where to, as what, and how.</summary>
internal sealed class LoadArguments
{
    private readonly Option<string> _device = DeviceOption.Create("Where the tensors go.");
    private readonly Option<string> _dtype = DTypeOption.Create();

    private readonly Option<int?> _lanes = new("--lanes")
    {
        Description = "How many lanes read side by side; by default one a core, at most eight.",
        HelpName = "N",
    };

    private readonly Option<string?> _memory = new("--memory")
    {
        Description = "The most memory for staging, such as 64MiB; by default 256MiB.",
        HelpName = "SIZE",
    };

    private readonly Option<bool> _npCache = new("--np-cache")
    {
        Description = "Load from the NumPy cache of a model's folder (np/, a file a tensor, as vLLM's); it is written first where it is missing or older than the model.",
    };

    /// <summary>Adds the options.</summary>
    public void AddTo(Command command)
    {
        command.Add(_device);
        command.Add(_dtype);
        command.Add(_lanes);
        command.Add(_memory);
        command.Add(_npCache);
    }

    /// <summary>Opens what is loaded: the checkpoint, or its NumPy cache where that is asked for.</summary>
    /// <exception cref="UsageException">A cache is asked for and the path is no folder.</exception>
    public async Task<Checkpoint> OpenAsync(
        ParseResult parsed, CommandConsole console, string path, CheckpointOptions options, CancellationToken cancellationToken)
    {
        if (!parsed.GetValue(_npCache))
        {
            return await Checkpoint.OpenAsync(path, options, cancellationToken).ConfigureAwait(false);
        }

        return File.Exists(path)
            ? throw new UsageException($"{_npCache.Name} takes the folder of a model, in which the cache is, not the file '{path}'.")
            : await ProgressDisplay
                .RunAsync(console, "caching", progress => NumpyCache.OpenAsync(path, options, progress, cancellationToken))
                .ConfigureAwait(false);
    }

    /// <summary>The dtype as it was typed.</summary>
    public string DType(ParseResult parsed) => parsed.GetValue(_dtype)!;

    /// <summary>The words for what tensors become, behind where they go.</summary>
    public string Become(ParseResult parsed) => DType(parsed) == DTypeOption.Keep ? " as stored" : $" as {DType(parsed)}";

    /// <summary>What to load and how.</summary>
    /// <exception cref="UsageException">A value cannot be read.</exception>
    /// <exception cref="Gpu.DeviceUnavailableException">There is no such device.</exception>
    public LoadOptions Options(ParseResult parsed, TensorChoice choice)
    {
        var options = new LoadOptions
        {
            Device = DeviceOption.Open(parsed.GetValue(_device)!),
            DType = DTypeOption.Parse(DType(parsed)),
            Lanes = parsed.GetValue(_lanes),
            Include = choice.Include,
            Exclude = choice.Exclude,
        };
        if (parsed.GetValue(_memory) is not { } memory)
        {
            return options;
        }

        return Sizes.TryParse(memory, out var bytes)
            ? options with { StagingBytes = bytes }
            : throw new UsageException($"--memory takes a size such as 64MiB, not '{memory}'.");
    }

    /// <summary>Makes the plan; what the planner refuses among the options is what the user typed.</summary>
    /// <exception cref="UsageException">An option is out of range.</exception>
    public static LoadPlan MakePlan(Checkpoint checkpoint, LoadOptions options)
    {
        try
        {
            return new CheckpointLoader().Plan(checkpoint, options);
        }
        catch (ArgumentException exception)
        {
            throw UsageException.From(exception);
        }
    }
}
