using System.CommandLine;
using IlgpuLoader.Cli.Output;
using IlgpuLoader.Formats;
using IlgpuLoader.Loading;

namespace IlgpuLoader.Cli.Commands;

/// <summary>What every command that plans a load takes: where to, as what, and how.</summary>
internal sealed class LoadArguments
{
    // The tool drops all tensors at once, so nothing speaks against slabs. From 4 MiB on larger ones have not been seen to load faster on
    // the host; a GPU's allocations take longer, and this many tensors make few of them.
    private const long SlabBytes = 64L << 20;

    private readonly Option<string> _device = DeviceOption.CreateForSeveral("Where the tensors go.");
    private readonly Option<string> _dtype = DTypeOption.Create();

    private readonly Option<int?> _lanes = LanesOption.Create();
    private readonly Option<string?> _memory = StagingOption.Create();
    private readonly Option<string> _read = ReadModeOption.Create();

    private readonly Option<bool> _npCache = new("--np-cache")
    {
        Description = "Load from the NumPy cache of a model's folder (np/, a file a tensor, as vLLM's); the first load of PyTorch files writes it, and so does the first after they changed. Other formats are loaded as they are, 'plan' writes nothing.",
    };

    private readonly Option<bool> _exactSlices = new("--exact-slices")
    {
        Description = "Read no byte that the rank does not need, with a read for each segment of a slice however short it is.",
    };

    /// <summary>Adds the options.</summary>
    public void AddTo(Command command)
    {
        command.Add(_device);
        command.Add(_dtype);
        command.Add(_lanes);
        command.Add(_memory);
        command.Add(_read);
        command.Add(_exactSlices);
        command.Add(_npCache);
    }

    /// <summary>Opens what is loaded: the checkpoint, or its NumPy cache where that is asked for.</summary>
    /// <exception cref="UsageException">A cache is asked for and the path is no folder.</exception>
    public async Task<Checkpoint> OpenAsync(
        ParseResult parsed, CommandConsole console, string path, CheckpointOptions options, CancellationToken cancellationToken)
    {
        if (!TakesCache(parsed, path))
        {
            return await Checkpoint.OpenAsync(path, options, cancellationToken).ConfigureAwait(false);
        }

        var opening = await ProgressDisplay
            .RunAsync(console, "caching", progress => NumpyCache.OpenReportedAsync(path, options, progress, cancellationToken))
            .ConfigureAwait(false);
        if (opening.Made is { } made)
        {
            Note(console, $"made the cache {Quoted.Plain(opening.CachePath!)} in {made.TotalSeconds:0.0} s");
        }
        else if (opening.Waited is { } waited)
        {
            Note(console, $"waited {waited.TotalSeconds:0.0} s for the cache {Quoted.Plain(opening.CachePath!)}, which another process made");
        }

        return opening.Checkpoint;
    }

    /// <summary>Opens what would be loaded, and writes nothing: where a cache is asked for and there is none yet, the checkpoint itself.</summary>
    /// <exception cref="UsageException">A cache is asked for and the path is no folder.</exception>
    public async Task<Checkpoint> OpenUnchangedAsync(
        ParseResult parsed, CommandConsole console, string path, CheckpointOptions options, CancellationToken cancellationToken)
    {
        if (!TakesCache(parsed, path))
        {
            return await Checkpoint.OpenAsync(path, options, cancellationToken).ConfigureAwait(false);
        }

        var opening = await NumpyCache.OpenExistingAsync(path, options, cancellationToken).ConfigureAwait(false);
        if (opening.IsMissing)
        {
            Note(console, $"there is no cache {Quoted.Plain(opening.CachePath!)} of this model yet, which the first load would make; this is the plan without it");
        }

        return opening.Checkpoint;
    }

    private bool TakesCache(ParseResult parsed, string path) =>
        parsed.GetValue(_npCache)
        && (AddressScheme.Of(path) is not null
            ? throw new UsageException($"{_npCache.Name} makes its cache beside the files of a model, and takes a local folder, not an address: download it first, and give the folder that 'download' prints.")
            : File.Exists(path)
            ? throw new UsageException($"{_npCache.Name} takes the folder of a model, in which the cache is, not the file '{path}'.")
            : true);

    private static void Note(CommandConsole console, string message)
    {
        if (!console.Quiet)
        {
            console.Error.WriteLine(message);
        }
    }

    /// <summary>The dtype as it was typed.</summary>
    public string DType(ParseResult parsed) => parsed.GetValue(_dtype)!;

    /// <summary>The words for what tensors become, behind where they go.</summary>
    public string Become(ParseResult parsed) => DType(parsed) == DTypeOption.Keep ? " as stored" : $" as {DType(parsed)}";

    /// <summary>What to load and how.</summary>
    /// <exception cref="UsageException">A value cannot be read, or the devices do not go together.</exception>
    /// <exception cref="Gpu.DeviceUnavailableException">There is no such device.</exception>
    public LoadOptions Options(ParseResult parsed, CommandConsole console, TensorChoice choice)
    {
        var options = new LoadOptions
        {
            Device = DeviceOption.OpenSeveral(console, parsed.GetValue(_device)!),
            DType = DTypeOption.Parse(DType(parsed)),
            Lanes = parsed.GetValue(_lanes),
            ReadMode = ReadModeOption.Parse(parsed.GetValue(_read)!),
            SlabBytes = SlabBytes,
            ExactSlices = parsed.GetValue(_exactSlices),
            Include = choice.Include,
            Exclude = choice.Exclude,
        };
        return StagingOption.Parse(parsed.GetValue(_memory)) is { } bytes ? options with { StagingBytes = bytes } : options;
    }

    /// <summary>Says where the memory for staging has room for fewer lanes than were asked for.</summary>
    public void WarnIfLanesDoNotFit(CommandConsole console, LoadPlan plan)
    {
        // A plan has no more lanes than runs either, which nobody needs to be told.
        if (plan.Options.Lanes is { } asked && plan.Staging.Lanes < Math.Min(asked, plan.Runs.Length))
        {
            console.Warn(
                $"{_lanes.Name} {asked}: slots for {Sizes.Count(plan.Staging.Lanes, "lane")} fit into {Sizes.Format(plan.Options.StagingBytes)} "
                + $"({_memory.Name}).");
        }
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
