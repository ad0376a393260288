using System.Collections.Immutable;
using System.Diagnostics.CodeAnalysis;
using IlgpuLoader.Formats;

namespace IlgpuLoader.Loading;

/// <summary>
/// Which tensors of a checkpoint, as transformers names them, a GGUF tensor holds, and how they are made from it. Immutable and
/// safe for any thread.
/// </summary>
/// <remarks>
/// The built-in maps know llama (Llama, Mistral, Mixtral), qwen2, qwen3, gemma, phi3 and gpt2, with the weights and biases that
/// llama.cpp's converter writes. GGUF tensors that it makes from the configuration (<c>rope_freqs.weight</c>,
/// <c>rope_factors_*.weight</c>, <c>blk.N.attn_rot_embd.weight</c>) are known and left out; tensors of checkpoints that it drops
/// (<c>rotary_emb.inv_freq</c>, GPT-2's masks) are not missed; where there is no <c>output.weight</c>, the output is tied to the
/// embedding, unless the checkpoint is of a model without its head (<see cref="GgufNameMapOptions.ModelPrefix"/>, and GPT-2 as it is
/// published). Phi-3 files whose query, key and value are apart are not known: no checkpoint has such names, and a transform
/// takes parts, but joins none.
/// </remarks>
public sealed partial class GgufNameMap
{
    /// <summary>The most blocks that have heads of their own: the deepest published models have a few hundred.</summary>
    internal const int MaximumBlocks = 65_536;

    private readonly NameIndex _index;
    private readonly int _maximumParts;

    // What a built-in map leaves out on the checkpoint's side, and its tie.
    private readonly ImmutableHashSet<string> _checkpointOnly = [];
    private readonly NameTie? _tiedOutput;

    /// <summary>Makes a map of a caller's own.</summary>
    /// <param name="entries">The entries, in any order.</param>
    /// <param name="options">Choices, of which a map of one's own has <see cref="GgufNameMapOptions.MaximumParts"/>; null for the defaults.</param>
    /// <exception cref="ArgumentException">
    /// A name is empty, a GGUF name occurs twice, two entries make the same tensor, or the placeholders of an entry's sides differ;
    /// the message names them.
    /// </exception>
    public GgufNameMap(IEnumerable<NameMapEntry> entries, GgufNameMapOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(entries);
        _maximumParts = (options ?? new GgufNameMapOptions()).MaximumParts;
        _index = new NameIndex();
        foreach (var entry in entries)
        {
            _index.Add(entry.GgufName, [.. entry.Targets.Select(target => new TargetTemplate(target.Name, target.Transform))]);
        }
    }

    private GgufNameMap(NameIndex index, int maximumParts, IEnumerable<string> checkpointOnly, NameTie? tiedOutput) =>
        (_index, _maximumParts, _checkpointOnly, _tiedOutput) = (index, maximumParts, [.. checkpointOnly], tiedOutput);

    /// <summary>The values of <c>general.architecture</c> that have a built-in map.</summary>
    public static ImmutableArray<string> Architectures { get; } = [.. ArchitectureTable.All.Select(names => names.Key)];

    /// <summary>Makes the built-in map of an architecture.</summary>
    /// <param name="architecture">The GGUF's <c>general.architecture</c>.</param>
    /// <param name="metadata">
    /// The GGUF's metadata: <c>block_count</c>, <c>attention.head_count</c>, <c>attention.head_count_kv</c> and
    /// <c>expert_count</c>, each behind the architecture and a dot, are read, those that the architecture needs. Numbers may be of any
    /// integer type, and those of heads also a list with one number a block.
    /// </param>
    /// <param name="options">Choices; null for the defaults.</param>
    /// <param name="file">The GGUF file, for messages.</param>
    /// <exception cref="UnsupportedCheckpointException">There is no map for the architecture, or for so many blocks.</exception>
    /// <exception cref="InvalidCheckpointException">A number is missing, or is none; the message names it.</exception>
    /// <exception cref="CheckpointLimitException">There are more experts than <see cref="GgufNameMapOptions.MaximumExperts"/>.</exception>
    public static GgufNameMap ForArchitecture(
        string architecture, IReadOnlyDictionary<string, object> metadata, GgufNameMapOptions? options = null, string? file = null)
    {
        ArgumentNullException.ThrowIfNull(architecture);
        ArgumentNullException.ThrowIfNull(metadata);
        options ??= new GgufNameMapOptions();
        var names = ArchitectureTable.All.FirstOrDefault(candidate => candidate.Key == architecture)
            ?? throw new UnsupportedCheckpointException(
                "names of this architecture",
                file,
                $"there is no map of names for the architecture {Quoted.Name(architecture)}, only for {string.Join(", ", Architectures)}; "
                + "give a map of your own.",
                "gguf");
        var numbers = new ArchitectureMetadata(architecture, metadata, file);
        var experts = numbers.Experts;
        if (experts > options.MaximumExperts)
        {
            throw new CheckpointLimitException(
                "number of experts",
                experts,
                options.MaximumExperts,
                $"{nameof(GgufNameMapOptions)}.{nameof(GgufNameMapOptions.MaximumExperts)}",
                file,
                "gguf");
        }

        var prefix = options.ModelPrefix ?? names.ModelPrefix;
        var index = new NameIndex(numbers.Blocks, experts);
        foreach (var row in names.Rows)
        {
            AddRow(index, row, prefix, numbers, (int)experts);
        }

        foreach (var name in names.GgufOnly)
        {
            index.Add(name, []);
        }

        return new GgufNameMap(
            index,
            options.MaximumParts,
            names.CheckpointOnly.Select(name => WithPrefix(name, prefix)),
            // The prefix is the model's name in the one that has a head beside it: without a prefix there is no head.
            prefix.Length == 0 ? null : new NameTie(WithPrefix(names.TiedOutput.Name, prefix), WithPrefix(names.TiedOutput.TiedTo, prefix)));
    }

    /// <summary>The tensors of the checkpoint that are made from a GGUF tensor.</summary>
    /// <param name="ggufName">The name in the GGUF.</param>
    /// <param name="targets">The tensors; none for a GGUF tensor that is known and left out.</param>
    /// <returns>False where the map has no such name.</returns>
    public bool TryGetTargets(string ggufName, out ImmutableArray<NameMapTarget> targets)
    {
        ArgumentNullException.ThrowIfNull(ggufName);
        var match = _index.Find(ggufName);
        targets = match is null ? [] : [.. match.Targets];
        return match is not null;
    }

    /// <summary>The GGUF tensor that a tensor of the checkpoint is made from: the way back.</summary>
    /// <param name="name">The name in the checkpoint.</param>
    /// <param name="source">The GGUF tensor; where converters wrote two names over time, the newer.</param>
    /// <returns>False where the map makes no such tensor, also since another entry goes before the one that would.</returns>
    public bool TryGetSource(string name, [NotNullWhen(true)] out NameMapSource? source)
    {
        ArgumentNullException.ThrowIfNull(name);
        source = _index.SourceOf(name);
        return source is not null;
    }

    /// <summary>Maps the tensors of a GGUF file.</summary>
    /// <param name="tensors">The names and shapes (row-major) of the file.</param>
    /// <param name="expected">The names that the checkpoint should have; null where that is not known.</param>
    /// <param name="file">The GGUF file, for messages.</param>
    /// <param name="cancellationToken">Ends the work between two tensors.</param>
    /// <exception cref="InvalidCheckpointException">
    /// A transform does not fit a tensor's shape, or two tensors are the same one of the checkpoint; the message names them.
    /// </exception>
    /// <exception cref="CheckpointLimitException">
    /// More tensors of the checkpoint than <see cref="GgufNameMapOptions.MaximumParts"/> are parts of GGUF tensors.
    /// </exception>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    public NameMapping Resolve(
        IEnumerable<KeyValuePair<string, Shape>> tensors,
        IEnumerable<string>? expected = null,
        string? file = null,
        CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(tensors);
        var mapped = new Dictionary<string, MappedTensor>(StringComparer.Ordinal);
        var (ordered, unmapped, leftOut) = (new List<MappedTensor>(), new List<string>(), new List<string>());
        var parts = 0L;
        foreach (var (ggufName, shape) in tensors)
        {
            cancellationToken.ThrowIfCancellationRequested();
            if (_index.Find(ggufName) is not { } match)
            {
                unmapped.Add(ggufName);
                continue;
            }

            var count = match.Templates.Length;
            if (count == 0)
            {
                leftOut.Add(ggufName);
            }
            else if (count > 1)
            {
                // An empty tensor takes no room in a file, and may not take any here: there are as many names as experts.
                if (count > shape.ElementCount)
                {
                    throw Invalid(file, ggufName, $"its shape is {shape}, and {count} tensors of the checkpoint are parts of it.");
                }

                parts += count;
                CheckParts(parts, _maximumParts, file, "gguf");
            }

            foreach (var target in match.Targets)
            {
                var tensor = new MappedTensor(target.Name, ShapeOf(target, ggufName, shape, file), ggufName, shape, target.Transform);
                if (!mapped.TryAdd(tensor.Name, tensor))
                {
                    throw Invalid(
                        file,
                        ggufName,
                        $"it is {Quoted.Name(tensor.Name)} of the checkpoint, and so is {Quoted.Name(mapped[tensor.Name].GgufName)}; "
                        + "each must be made from one tensor.");
                }

                ordered.Add(tensor);
            }
        }

        ImmutableArray<NameTie> ties =
            _tiedOutput is not null && !mapped.ContainsKey(_tiedOutput.Name) && mapped.ContainsKey(_tiedOutput.TiedTo) ? [_tiedOutput] : [];
        return new NameMapping(ordered, mapped, unmapped, leftOut, ties, expected, IsCheckpointOnly);
    }

    private static void AddRow(NameIndex index, NameRow row, string prefix, ArchitectureMetadata numbers, int experts)
    {
        foreach (var (ending, transform) in (ReadOnlySpan<(string, RowTransform)>)[(".weight", row.OfWeight), (".bias", row.OfBias)])
        {
            var name = WithPrefix(row.Checkpoint, prefix) + ending;
            ImmutableArray<TargetTemplate> targets = transform switch
            {
                RowTransform.UnpermuteHeads => [new(name, WeightTransform.None, numbers.Heads)],
                RowTransform.UnpermuteKeyValueHeads => [new(name, WeightTransform.None, numbers.KeyValueHeads)],
                RowTransform.MinusOne => [new(name, WeightTransform.MinusOne)],
                RowTransform.Transpose => [new(name, WeightTransform.Transpose)],
                RowTransform.SplitExperts =>
                    [.. NameMapEntry.ExpertTargets(name, experts).Select(target => new TargetTemplate(target.Name, target.Transform))],
                _ => [new(name, WeightTransform.None)],
            };

            // Without experts there is nothing to split, and the name is not known rather than left out.
            if (!targets.IsEmpty)
            {
                index.Add(row.Gguf + ending, targets, row.IsOlder);
            }
        }
    }

    private static string WithPrefix(string name, string prefix) => name.Replace("{model}", prefix, StringComparison.Ordinal);

    private bool IsCheckpointOnly(string name) => NameTemplate.Of(name).Any(candidate => _checkpointOnly.Contains(candidate.Template));

    private static void CheckParts(long parts, int maximum, string? file, string format)
    {
        if (parts > maximum)
        {
            throw new CheckpointLimitException(
                "number of tensors that are parts of GGUF tensors",
                parts,
                maximum,
                $"{nameof(GgufNameMapOptions)}.{nameof(GgufNameMapOptions.MaximumParts)}",
                file,
                format);
        }
    }

    private static Shape ShapeOf(NameMapTarget target, string ggufName, Shape shape, string? file)
    {
        try
        {
            return target.Transform.ShapeOf(shape);
        }
        catch (ArgumentException exception)
        {
            throw Invalid(
                file,
                ggufName,
                $"it cannot be {Quoted.Name(target.Name)} of the checkpoint, since its shape {shape} does not fit the transform {target.Transform}; "
                + "the file is not of this architecture, or the map is wrong.",
                exception);
        }
    }

    private static InvalidCheckpointException Invalid(string? file, string tensor, string problem, Exception? inner = null) =>
        new(CheckpointErrorCode.NameMapInvalid, file, problem, "gguf", tensor: tensor, innerException: inner);
}
