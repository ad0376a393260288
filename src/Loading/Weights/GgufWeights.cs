using System.Collections.Immutable;
using System.Collections.ObjectModel;
using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;
using IlgpuLoader.Formats;
using IlgpuLoader.Formats.Gguf;
using IlgpuLoader.Gpu;

namespace IlgpuLoader.Loading;

/// <summary>
/// The weights of a GGUF file, or of all parts of a split one, under the names of a checkpoint: their types, and the weights
/// themselves one after the other. Immutable and safe for any thread; valid while its checkpoint is open.
/// </summary>
/// <remarks>
/// <para>
/// The counterpart of vLLM's <c>get_gguf_weight_type_map</c> and <c>gguf_quant_weights_iterator</c>. As there, raw blocks come as
/// two weights, <c>….qweight</c> and <c>….qweight_type</c>, and all types come before any weight, since a layer that packs several
/// must know all their types before the first is put into it. The type is ggml's number (Q8_0 is 8), a scalar of I64. The blocks
/// are a tensor of their block type with the logical shape, which narrows and decodes as such; where vLLM has a matrix of
/// bytes, its bytes are seen with <c>AsSpan&lt;byte&gt;()</c>, row after row, each of
/// <c>columns / BlockLength * BlockSize</c> bytes.
/// </para>
/// <para>What differs from there:</para>
/// <list type="bullet">
/// <item>Only the last part of a name is renamed, behind its last dot; vLLM also renames a module called
/// <c>weight_net</c>. A name without <c>weight</c> in that part (<c>….bias</c>) would be the same for the type and for the blocks:
/// such blocks are decoded to <see cref="GgufWeightsOptions.DecodedDType"/>, and have no type entry.</item>
/// <item>F64 and integers are plain, as F32, F16 and BF16 are: they have no blocks, and no type that a quantised layer could
/// make use of. vLLM renames them.</item>
/// <item>The map's transforms are applied, and one GGUF tensor may be several weights. Rows are moved and parts are taken as raw
/// blocks. Where blocks are transposed or their values change (or the rows of a vector move) they are decoded, named as they
/// are, and have no type entry; <see cref="Types"/> has the type that is stored all the same.</item>
/// <item>A tied output is given too (<see cref="GgufWeightsOptions.IncludeTies"/>).</item>
/// <item>Tensors without a name in the map are not passed over in silence: <see cref="Names"/> lists them.</item>
/// </list>
/// </remarks>
public sealed class GgufWeights
{
    private readonly GgufWeightsOptions _options;
    private readonly ImmutableDictionary<string, GgufWeightSource> _sources;
    private readonly ImmutableArray<(string Name, long TypeId)> _typeEntries;
    private readonly ImmutableArray<LoadPlan> _plans;

    /// <summary>Finds the weights and plans how they are read: nothing is read or allocated.</summary>
    /// <param name="checkpoint">The opened GGUF checkpoint; stays the caller's.</param>
    /// <param name="map">The names.</param>
    /// <param name="options">What is given and where to; null for the defaults.</param>
    /// <param name="cancellationToken">Ends the work between two tensors.</param>
    /// <exception cref="ArgumentException">An option is out of range, or none that is possible here.</exception>
    /// <exception cref="InvalidCheckpointException">
    /// A transform does not fit a tensor's shape, or two weights have the same name; the message names them.
    /// </exception>
    /// <exception cref="UnsupportedCheckpointException">
    /// The checkpoint is of another format, has a tensor of an unknown type, or a transform changes the values of an integer type.
    /// </exception>
    /// <exception cref="CheckpointLimitException">
    /// More weights than <see cref="GgufNameMapOptions.MaximumParts"/> of the map's options are parts of GGUF tensors.
    /// </exception>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    public GgufWeights(Checkpoint checkpoint, GgufNameMap map, GgufWeightsOptions? options = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(checkpoint);
        ArgumentNullException.ThrowIfNull(map);
        _options = options ?? GgufWeightsOptions.Default;
        CheckOptions(_options);
        CheckReadable(checkpoint);
        Names = map.Resolve(
            checkpoint.Tensors.Select(tensor => KeyValuePair.Create(tensor.Name, tensor.Shape)), file: checkpoint.Path, cancellationToken: cancellationToken);
        var sources = FindSources(checkpoint, cancellationToken);
        Types = new ReadOnlyDictionary<string, DType>(new OrderedDictionary<string, DType>(
            sources.SelectMany(source => source.Weights.Select(weight => KeyValuePair.Create(weight.Name, source.Tensor.DType))),
            StringComparer.Ordinal));
        _typeEntries = [.. sources.SelectMany(TypeEntriesOf)];
        CheckGivenNames(sources);
        _sources = sources.ToImmutableDictionary(source => source.Tensor.Name, StringComparer.Ordinal);
        _plans = [.. Plan(checkpoint).Where(plan => plan.Tensors.Length > 0)];
    }

    /// <summary>
    /// What the map makes of the file: the weights it names, and the GGUF tensors that have no name
    /// (<see cref="NameMapping.Unmapped"/>) or are known to be no weight (<see cref="NameMapping.LeftOut"/>), and are not read.
    /// </summary>
    public NameMapping Names { get; }

    /// <summary>
    /// The type in which each weight is stored, by its name in the checkpoint (not renamed), in the order of the file. Only what
    /// the map names and the options choose; of a GGUF tensor that is several weights, each has its type. ggml's name of the
    /// type is <see cref="DTypeExtensions"/>' <c>Name</c>.
    /// </summary>
    public IReadOnlyDictionary<string, DType> Types { get; }

    /// <summary>
    /// Reads the weights: first the types of all that are given as raw blocks, in the order of the file, then the weights, in
    /// the order in which they arrive. Leaving the loop early ends the reading and frees what was not taken.
    /// </summary>
    /// <remarks>
    /// <para>
    /// Each weight is contiguous, on the device of the options (types are on the host), and belongs to who takes it.
    /// Weights made from the same GGUF tensor may share its memory, which is freed with the last of them: experts, rows, ties.
    /// </para>
    /// <para>
    /// At most <see cref="LoadOptions.StreamWindowBytes"/> of tensors wait to be taken, beside one GGUF tensor and what is being
    /// made of it. Where a transform changes values, or a GGUF tensor is given raw in one weight and decoded in another, the host
    /// makes the weights and they are brought to the device behind all others; moved rows and transposed matrices are
    /// copied on the device itself.
    /// </para>
    /// </remarks>
    /// <param name="progress">Counts bytes and tensors of the GGUF file. Called from the lanes' threads, in order; must return soon.</param>
    /// <param name="cancellationToken">Ends the reading within the time of one slot, or of the weight that is being made.</param>
    /// <returns>The weights; each is the caller's to dispose. The sequence may be read any number of times.</returns>
    /// <exception cref="DeviceMemoryException">Host or device cannot hold a weight and what waits.</exception>
    /// <exception cref="CheckpointException">A file is not what it was when it was opened.</exception>
    /// <exception cref="IOException">A read failed; the message names tensor, file and offset.</exception>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    public async IAsyncEnumerable<Weight> ReadAsync(
        IProgress<LoadProgress>? progress = null, [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        // A type is read by the code that chooses a kernel, not by the kernel.
        var host = _options.Load.Device as HostDevice;
        foreach (var (name, id) in _typeEntries)
        {
            cancellationToken.ThrowIfCancellationRequested();
            yield return new Weight(name, Tensor.FromValues<long>(DType.I64, Shape.Scalar, [id], host));
        }

        var loader = new CheckpointLoader();
        for (var i = 0; i < _plans.Length; i++)
        {
            var reports = progress is null ? null : new SuccessiveProgress(progress, _plans, i);
            await foreach (var (name, loaded) in loader.StreamAsync(_plans[i], reports, cancellationToken).ConfigureAwait(false))
            {
                using (loaded)
                {
                    var weights = _sources[name].Weights;
                    foreach (var weight in weights)
                    {
                        cancellationToken.ThrowIfCancellationRequested();
                        var tensor = GgufWeightSource.Make(weight, loaded, _options.Load.Device);
                        if (weight == weights[^1])
                        {
                            // What was moved or decoded into a copy is not needed while the consumer works.
                            loaded.Dispose();
                        }

                        yield return new Weight(weight.GivenName, tensor);
                    }
                }
            }
        }
    }

    [SuppressMessage("Usage", "CA2208:Instantiate argument exceptions correctly", Justification = "The option is what is wrong.")]
    private static void CheckOptions(GgufWeightsOptions options)
    {
        ArgumentNullException.ThrowIfNull(options.Load, nameof(GgufWeightsOptions.Load));
        if (options.Load.TensorParallel is not null || options.Load.Manifest is not null)
        {
            throw new ArgumentException(
                $"{nameof(LoadOptions.TensorParallel)} and {nameof(LoadOptions.Manifest)} go by the names of the file's own tensors, "
                + "not by a checkpoint's: slice the weights when they are here, and hold the file against a manifest by itself.",
                nameof(GgufWeightsOptions.Load));
        }

        if (!Codecs.Targets.Contains(options.DecodedDType))
        {
            throw new ArgumentException(
                $"Blocks can be decoded to {string.Join(", ", Codecs.Targets.Select(target => target.Name))}; {options.DecodedDType} is none of them.",
                nameof(GgufWeightsOptions.DecodedDType));
        }
    }

    private static void CheckReadable(Checkpoint checkpoint)
    {
        if (checkpoint.Files.FirstOrDefault(file => file.Header is not GgufHeader) is { } other)
        {
            throw new UnsupportedCheckpointException(
                "GGUF weights", other.Path, $"its format is {other.Format}, and names are mapped for GGUF files alone: load its tensors by their own names.", other.Format);
        }

        if (checkpoint.UnreadableTensors is [var unreadable, ..])
        {
            throw new UnsupportedCheckpointException(
                "tensors of unknown types", unreadable.File.Path, unreadable.Reason, unreadable.File.Format, unreadable.Name);
        }
    }

    private static IEnumerable<(string Name, long TypeId)> TypeEntriesOf(GgufWeightSource source) =>
        source.Weights
            .Where(weight => weight.DType.IsBlock)
            .Select(weight => GgufTypes.TryGetId(weight.DType, out var id)
                ? (QuantisedName.OfType(weight.Name), (long)id)
                : throw new InvalidOperationException($"{weight.DType} is in a GGUF file, and has no number there."));

    private ImmutableArray<GgufWeightSource> FindSources(Checkpoint checkpoint, CancellationToken cancellationToken)
    {
        var choice = new TensorChoice(_options.Load.Include, _options.Load.Exclude);
        var ties = (_options.IncludeTies ? Names.Ties : []).ToLookup(tie => tie.TiedTo, tie => tie.Name, StringComparer.Ordinal);
        var sources = ImmutableArray.CreateBuilder<GgufWeightSource>();
        foreach (var tensor in checkpoint.Tensors)
        {
            cancellationToken.ThrowIfCancellationRequested();
            ImmutableArray<MappedWeight> weights =
            [
                .. Names.OfGguf(tensor.Name)
                    .SelectMany(mapped => ties[mapped.Name].Prepend(mapped.Name).Select(name => (Name: name, mapped.Transform)))
                    .Where(weight => choice.Includes(weight.Name))
                    .Select(weight => Describe(tensor, weight.Name, weight.Transform)),
            ];
            if (!weights.IsEmpty)
            {
                sources.Add(new GgufWeightSource(tensor, weights));
            }
        }

        return sources.ToImmutable();
    }

    private MappedWeight Describe(TensorInfo tensor, string name, WeightTransform transform)
    {
        var dtype = _options.Load.DTypeOf(tensor.DType);
        if (dtype.IsBlock && (transform.NeedsValues(dtype, tensor.Shape) || !QuantisedName.Exists(name)))
        {
            dtype = _options.DecodedDType;
        }

        return !transform.ChangesValues || Codecs.Targets.Contains(dtype)
            ? new MappedWeight(name, dtype, transform)
            : throw new UnsupportedCheckpointException(
                $"{transform} of {dtype.Name}",
                tensor.File.Path,
                $"it is {Quoted.Name(name)} of the checkpoint by the transform {transform}, which makes no values of {dtype.Name}; "
                + "correct the map, exclude the weight, or convert all types.",
                tensor.File.Format,
                tensor.Name);
    }

    // Names are renamed into a space that the map may have used already.
    private void CheckGivenNames(ImmutableArray<GgufWeightSource> sources)
    {
        var given = _typeEntries.Select(entry => entry.Name).ToHashSet(StringComparer.Ordinal);
        foreach (var source in sources)
        {
            foreach (var weight in source.Weights)
            {
                if (!given.Add(weight.GivenName))
                {
                    throw new InvalidCheckpointException(
                        CheckpointErrorCode.NameMapInvalid,
                        source.Tensor.File.Path,
                        $"it would be given as {Quoted.Name(weight.GivenName)}, as raw blocks are, and so would another one; "
                        + "give one of them another name in the map, or ask for decoded weights.",
                        source.Tensor.File.Format,
                        tensor: source.Tensor.Name);
                }
            }
        }
    }

    // One for what goes straight to the device, and one for what the host computes before.
    private IEnumerable<LoadPlan> Plan(Checkpoint checkpoint)
    {
        var load = _options.Load;
        var staysOnDevice = load.Device.Kind is DeviceKind.Host or DeviceKind.Meta;
        bool IsChosen(TensorInfo tensor, bool byHost) =>
            _sources.TryGetValue(tensor.Name, out var source) && (source.IsConvertedLate && !staysOnDevice) == byHost;

        yield return LoadPlanner.Plan(checkpoint, load, tensor => IsChosen(tensor, byHost: false), dtype: tensor => _sources[tensor.Name].DType);
        yield return LoadPlanner.Plan(
            checkpoint,
            load with { Device = HostDevice.Shared },
            tensor => IsChosen(tensor, byHost: true),
            dtype: tensor => _sources[tensor.Name].DType);
    }
}
