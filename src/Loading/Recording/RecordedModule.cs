using System.Collections.Frozen;
using System.Collections.Immutable;
using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;

namespace IlgpuLoader.Loading;

/// <summary>
/// What the loaders of a model's parameters write, recorded once: plans for all parameters, or for some at a time, are made of it. Its loaders' writes stay within the parameter that each
/// fills, so that parameters can be parted. Immutable, and valid while its checkpoint is open.
/// </summary>
internal sealed class RecordedModule
{
    // What passes at a time: enough for a few pieces of each lane, and little beside a model. Of a smaller cap on staging memory, a quarter.
    private const long MaximumPassingBytes = 64L << 20;

    private readonly ILookup<int, RecordedCopy> _copies;
    private readonly ILookup<int, RecordedFill> _fills;
    private readonly ILookup<Parameter, (LoaderCall Call, long Bytes)> _calls;

    /// <summary>Keeps what was recorded.</summary>
    /// <param name="module">The model.</param>
    /// <param name="checkpoint">The checkpoint.</param>
    /// <param name="options">How the model is loaded.</param>
    /// <param name="record">Which weights go where.</param>
    /// <param name="copies">What is copied from files, in their order.</param>
    /// <param name="fills">What gets one value.</param>
    /// <param name="calls">Loaders to run again, and the stored bytes of what each needs.</param>
    public RecordedModule(
        Module module,
        Checkpoint checkpoint,
        ModuleLoadOptions options,
        ModuleRecord record,
        IEnumerable<RecordedCopy> copies,
        IEnumerable<RecordedFill> fills,
        IEnumerable<(LoaderCall Call, long Bytes)> calls)
    {
        (Module, Checkpoint, Options) = (module, checkpoint, options);
        (Entries, Parameters, Unexpected, Skipped) = ([.. module.NamedParameters()], record.Parameters, record.Unexpected, record.Skipped);
        _copies = copies.ToLookup(copy => copy.Place.Parameter);
        _fills = fills.ToLookup(fill => fill.Place.Parameter);
        _calls = calls.ToLookup(call => call.Call.Target.Parameter);
    }

    /// <summary>The model.</summary>
    public Module Module { get; }

    /// <summary>The checkpoint.</summary>
    public Checkpoint Checkpoint { get; }

    /// <summary>How the model is loaded.</summary>
    public ModuleLoadOptions Options { get; }

    /// <summary>The model's parameters and their names, in its order.</summary>
    public ImmutableArray<(string Name, Parameter Parameter)> Entries { get; }

    /// <summary>What fills each parameter.</summary>
    public ImmutableArray<PlannedParameter> Parameters { get; }

    /// <summary>The weights that go into no parameter.</summary>
    public ImmutableArray<string> Unexpected { get; }

    /// <summary>The weights that the model knows and has no use for.</summary>
    public ImmutableArray<SkippedWeight> Skipped { get; }

    /// <summary>Makes a plan for some parameters.</summary>
    /// <param name="chosen">Their indices, each once; default for all of them.</param>
    /// <param name="device">Where to; null for the device of the options.</param>
    /// <exception cref="ArgumentException">An option is out of range.</exception>
    /// <exception cref="UnsupportedCheckpointException">A part begins or ends among elements that are stored together and kept so.</exception>
    public ModulePlan PlanOf(ImmutableArray<int> chosen = default, Device? device = null)
    {
        var options = device is null ? Options : Options with { Load = Options.Load with { Device = device } };
        chosen = chosen.IsDefault ? [.. Enumerable.Range(0, Entries.Length)] : chosen;
        var passingBytes = Math.Clamp(Math.Min(options.Load.StagingBytes / 4, options.Load.StagingBytes - StagingLayout.SmallestSlot), 0, MaximumPassingBytes);
        var pieces = new PieceList(Math.Max(1, passingBytes / 4));
        var fills = ImmutableArray.CreateBuilder<RecordedFill>();
        var calls = ImmutableArray.CreateBuilder<LoaderCall>();
        long valueBytes = 0;
        for (var i = 0; i < chosen.Length; i++)
        {
            foreach (var copy in _copies[chosen[i]])
            {
                pieces.Add(copy with { Place = copy.Place with { Parameter = i } });
            }

            fills.AddRange(_fills[chosen[i]].Select(fill => fill with { Place = fill.Place with { Parameter = i } }));
            foreach (var (call, bytes) in _calls[Entries[chosen[i]].Parameter])
            {
                calls.Add(call);
                valueBytes += bytes;
            }
        }

        var (sorted, passing) = pieces.InFileOrder(Checkpoint.Files);
        if (passing.Count == 0)
        {
            passingBytes = 0;
        }

        // What passes is host memory of the cap too where the host is the device.
        var load = options.Load.Device.IsHost && passingBytes > 0
            ? options.Load with { StagingBytes = Math.Max(StagingLayout.SmallestSlot, options.Load.StagingBytes - passingBytes) }
            : options.Load;
        ImmutableArray<PlannedParameter> parameters = [.. chosen.Select(index => Parameters[index])];
        var memories = parameters.Select(parameter => parameter.ByteLength).ToImmutableArray();
        return new ModulePlan(Module, options, LoadPlanner.PlanPieces(Checkpoint, load with { SlabBytes = 0 }, sorted, memories), passingBytes)
        {
            Entries = [.. chosen.Select(index => Entries[index])],
            Parameters = parameters,
            Unexpected = Unexpected,
            Skipped = Skipped,
            Passing = passing.ToFrozenDictionary(),
            Repeats = pieces.Repeats,
            Fills = fills.ToImmutable(),
            Calls = calls.ToImmutable(),
            ValueBytes = valueBytes,
        };
    }
}
