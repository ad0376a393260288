using System.Globalization;
using System.Text.RegularExpressions;
using IlgpuLoader.Formats.Gguf;

namespace IlgpuLoader.Formats;

/// <summary>
/// Decides which files of a folder are the checkpoint: an index if there is one, else every weight file that is not a
/// second copy. Symbolic links count as what they point to, as in a Hub cache snapshot.
/// </summary>
internal static partial class CheckpointFolder
{
    private const string IndexEnding = ".index.json";

    // How Mistral names its own copy of the weights.
    private const string ConsolidatedStart = "consolidated";

    // The states of random number generators, one a rank, as transformers' Trainer names them.
    private const string RandomStateStart = "rng_state";

    /// <summary>The files to open, and the index that chose them.</summary>
    /// <param name="Files">Base names, in natural order.</param>
    /// <param name="Index">The index, where there is one.</param>
    /// <param name="Warnings">What was left aside, and why.</param>
    public sealed record Selection(IReadOnlyList<string> Files, ShardIndex? Index, IReadOnlyList<CheckpointWarning> Warnings);

    /// <summary>Finds what a path or an address means.</summary>
    /// <param name="path">The path or address.</param>
    /// <param name="limit">Shared by local files; null keeps each open.</param>
    /// <param name="options">Who finds addresses.</param>
    /// <param name="cancellationToken">Ends the asking.</param>
    /// <exception cref="UnsupportedCheckpointException">It is an address, and nobody is there to find it.</exception>
    public static async ValueTask<CheckpointLocation> LocateAsync(string path, OpenFileLimit? limit, CheckpointOptions options, CancellationToken cancellationToken)
    {
        if (AddressScheme.Of(path) is { } scheme)
        {
            var location = options.Remote is { } remote
                ? await remote.LocateAsync(path, cancellationToken).ConfigureAwait(false)
                : throw new UnsupportedCheckpointException(
                    "remote checkpoints", AddressScheme.WithoutSecrets(path), $"this is an address ({scheme}), and only local files are read here; set {nameof(CheckpointOptions)}.{nameof(CheckpointOptions.Remote)}.");
            return location with { Place = Limited(location.Place, limit) };
        }

        return Directory.Exists(path)
            ? new CheckpointLocation(new LocalPlace(path, limit), null)
            : new CheckpointLocation(new LocalPlace(Path.GetDirectoryName(path) ?? "", limit), Path.GetFileName(path));
    }

    /// <summary>A place that was found, with a limit: what was downloaded is local files, whose number counts as that of others.</summary>
    /// <param name="place">The place.</param>
    /// <param name="limit">Shared by local files; null keeps each open.</param>
    public static ICheckpointPlace Limited(ICheckpointPlace place, OpenFileLimit? limit) => place switch
    {
        LocalPlace local => new LocalPlace(local.Name, limit),
        DownloadingPlace downloading => downloading.With(limit),
        _ => place,
    };

    /// <summary>Chooses the files of a folder.</summary>
    /// <param name="place">The folder.</param>
    /// <param name="extensions">The endings of readable weight files, best first.</param>
    /// <param name="options">Variant and index.</param>
    /// <param name="cancellationToken">Cancels the reading of the index.</param>
    /// <exception cref="FileNotFoundException">The index that is asked for is not there.</exception>
    /// <exception cref="InvalidCheckpointException">The folder holds no weights, two indexes could be meant, or the index breaks a rule.</exception>
    public static async Task<Selection> SelectAsync(
        ICheckpointPlace place, IEnumerable<string> extensions, CheckpointOptions options, CancellationToken cancellationToken)
    {
        // Hidden files are not the model's: what another program has not finished writing, or what macOS keeps beside a file
        // on a foreign disk (._model.safetensors).
        var names = (await place.ListAsync(cancellationToken).ConfigureAwait(false))
            .Where(name => !name.StartsWith('.'))
            .Order(NaturalOrder.Instance)
            .ToArray();
        string[] readable = [.. extensions];
        foreach (var extension in readable)
        {
            var index = FindIndex(place, names, extension, options);
            if (index is not null)
            {
                return AddOtherFormats(
                    await FromIndexAsync(place, index, options, cancellationToken).ConfigureAwait(false), place, names, extension, readable);
            }

            var weights = WeightsOf(names, extension);
            if (weights.Length > 0 && extension == GgufConstants.Extension)
            {
                return FromModels(place, weights, options);
            }

            if (weights.Length > 0)
            {
                return AddOtherFormats(FromNames(place, weights, extension, options), place, names, extension, readable);
            }
        }

        var others = names.Where(IsOtherWeightFile).Take(3).ToArray();
        var wanted = $"{string.Join(", ", readable[..^1])} or {readable[^1]}";
        throw new InvalidCheckpointException(
            CheckpointErrorCode.NoWeights,
            place.Name,
            others.Length > 0
                ? $"there are no {wanted} files of weights here; {string.Join(", ", others.Select(Quoted.Name))} "
                  + (others.All(IsPickle)
                      ? "may hold anything, and is not chosen from a folder: open it by its own path if it holds the weights."
                      : "cannot be read by this version.")
                : $"there are no {wanted} files of weights here. Is this the folder of the model?");
    }

    /// <summary>Whether a file is an index by its name: <c>*.index.json</c>, or <c>*.index.VARIANT.json</c>.</summary>
    // The ending first: the regular expression's machinery would take a fifth of the first open of a process.
    public static bool IsIndexName(string path) =>
        path.EndsWith(".json", StringComparison.OrdinalIgnoreCase) && IndexName().IsMatch(path);

    /// <summary>Opens the shards that an index names.</summary>
    public static async Task<Selection> FromIndexAsync(
        ICheckpointPlace place, string indexName, CheckpointOptions options, CancellationToken cancellationToken)
    {
        var index = await ShardIndex.ReadAsync(place, indexName, options, cancellationToken).ConfigureAwait(false);
        var shards = index.Shards;
        var isThere = new bool[shards.Count];
        // Where asking is waiting, a thousand shards are not asked for one after the other.
        await Parallel.ForAsync(
            0,
            isThere.Length,
            new ParallelOptions { MaxDegreeOfParallelism = place is LocalPlace or DownloadingPlace ? 1 : place.ParallelOpens, CancellationToken = cancellationToken },
            async (i, token) => isThere[i] = await place.ExistsAsync(shards[i], token).ConfigureAwait(false)).ConfigureAwait(false);
        var missing = Array.IndexOf(isThere, false);
        if (missing >= 0)
        {
            var shard = shards[missing];
            var tensor = index.ShardOf.First(pair => pair.Value == shard).Key;
            throw new InvalidCheckpointException(
                CheckpointErrorCode.ShardMissing,
                index.Path,
                $"the shard {Quoted.Name(shard)} does not exist, or is a link that leads nowhere; fetch the missing file.",
                tensor: tensor);
        }

        return new Selection(shards, index, []);
    }

    private static string[] WeightsOf(string[] names, string extension) =>
        [.. names.Where(name => name.EndsWith(extension, StringComparison.OrdinalIgnoreCase) && IsOfTheModel(name))];

    private static bool IsOfTheModel(string name) =>
        !TrainerFiles.Contain(name) && !name.StartsWith(RandomStateStart, StringComparison.Ordinal);

    // Weights in a format that comes after the one that was found: most likely the same once more.
    private static Selection AddOtherFormats(Selection selection, ICheckpointPlace place, string[] names, string found, string[] readable)
    {
        var warnings = selection.Warnings.ToList();
        foreach (var other in readable.SkipWhile(extension => extension != found).Skip(1))
        {
            AddWarning(
                warnings, place, WeightsOf(names, other), $"weights in another format than the {found} files here, left aside; open it by its own name");
        }

        return selection with { Warnings = warnings };
    }

    private static string? FindIndex(ICheckpointPlace place, string[] names, string extension, CheckpointOptions options)
    {
        if (options.Index is { } asked)
        {
            return names.Contains(asked)
                ? asked
                : throw new FileNotFoundException($"{place.Name}: there is no index {Quoted.Name(asked)} here.", place.PathOf(asked));
        }

        var ofVariant = names.Where(name => IsIndexOf(name, extension, options.Variant)).ToArray();
        // Where nobody asks for a variant and every index is one's, an index still decides.
        var candidates = WithoutConsolidated(
            ofVariant.Length > 0 || options.Variant is not null
                ? ofVariant
                : names.Where(name => name.EndsWith(extension + IndexEnding, StringComparison.OrdinalIgnoreCase)));
        return candidates.Length switch
        {
            0 => null,
            1 => candidates[0],
            _ => throw new InvalidCheckpointException(
                CheckpointErrorCode.Ambiguous,
                place.Name,
                $"there are several indexes: {string.Join(", ", candidates.Select(Quoted.Name))}; choose one with --index NAME "
                + $"({nameof(CheckpointOptions)}.{nameof(CheckpointOptions.Index)})."),
        };
    }

    // model.safetensors.index.fp16.json is transformers' spelling of a variant's index, model.fp16.safetensors.index.json
    // diffusers'.
    private static bool IsIndexOf(string name, string extension, string? variant) =>
        (variant is not null && name.EndsWith($"{extension}.index.{variant}.json", StringComparison.OrdinalIgnoreCase))
        || (name.EndsWith(extension + IndexEnding, StringComparison.OrdinalIgnoreCase)
            && VariantOf(name[..^IndexEnding.Length], extension).Variant == variant);

    private static Selection FromNames(ICheckpointPlace place, string[] weights, string extension, CheckpointOptions options)
    {
        var warnings = new List<CheckpointWarning>();
        string[] chosen;
        if (options.Variant is { } variant)
        {
            chosen = [.. weights.Where(name => VariantOf(name, extension).Variant == variant)];
            if (chosen.Length == 0)
            {
                throw new InvalidCheckpointException(
                    CheckpointErrorCode.NoWeights,
                    place.Name,
                    $"there are no files of the variant {Quoted.Name(variant)} here; there are "
                    + $"{string.Join(", ", weights.Take(5).Select(Quoted.Name))}.");
            }
        }
        else
        {
            // model.fp16.safetensors beside model.safetensors is the same model once more.
            var stems = weights.Where(name => VariantOf(name, extension).Variant is null)
                .Select(name => VariantOf(name, extension).Stem)
                .ToHashSet();
            chosen = [.. weights.Where(name =>
            {
                var (stem, ofVariant) = VariantOf(name, extension);
                return ofVariant is null || !stems.Contains(stem);
            })];
            AddWarning(warnings, place, weights.Except(chosen), "another variant of the same weights, left aside; choose it with --variant");
        }

        var counted = WithoutConsolidated(chosen);
        AddWarning(warnings, place, chosen.Except(counted), "a second copy of the weights, left aside");
        ThrowIfShardsAreMissing(place, counted);
        return new Selection(counted, null, warnings);
    }

    // Where no index says which shards there are, their names say how many: what an interrupted download has left is no model.
    private static void ThrowIfShardsAreMissing(ICheckpointPlace place, string[] names)
    {
        var shards = names.Select(name => (Name: name, Part: ShardNumber().Match(name))).Where(shard => shard.Part.Success);
        foreach (var model in shards.GroupBy(shard => ShardNumber().Replace(shard.Name, $"-of-{shard.Part.Groups["count"].Value}")))
        {
            var (name, part) = model.First();
            var count = int.Parse(part.Groups["count"].ValueSpan, CultureInfo.InvariantCulture);
            var numbers = model.Select(shard => int.Parse(shard.Part.Groups["number"].ValueSpan, CultureInfo.InvariantCulture)).ToHashSet();
            if (numbers.Count >= count)
            {
                continue;
            }

            // Some count from 0.
            var missing = Enumerable.Range(numbers.Contains(0) ? 0 : 1, count).First(number => !numbers.Contains(number));
            var number = part.Groups["number"];
            var missingName = name[..number.Index] + missing.ToString(CultureInfo.InvariantCulture).PadLeft(number.Length, '0') + name[(number.Index + number.Length)..];
            throw new InvalidCheckpointException(
                CheckpointErrorCode.ShardMissing,
                place.Name,
                $"there {(numbers.Count == 1 ? "is 1" : $"are {numbers.Count}")} of {count} shards here and no index: {Quoted.Name(missingName)} is missing. "
                + "Fetch the missing files, the index among them, or open those that are here one by one.");
        }
    }

    // Each GGUF file, or set of parts, is a whole model: several are a choice that nobody but the caller can make.
    private static Selection FromModels(ICheckpointPlace place, string[] weights, CheckpointOptions options)
    {
        const int shown = 5;
        var warnings = new List<CheckpointWarning>();
        var models = weights
            .GroupBy(name => GgufSplit.PrefixOf(name, out var count) is var prefix && count > 1 ? $"{prefix}-of-{count}" : name)
            .Where(model => options.Variant is not { } variant || IsModelOf(GgufSplit.PrefixOf(model.First(), out _), variant))
            .ToArray();
        // The projector of a multimodal model lies beside it, under this name (llama.cpp, tools/mtmd).
        var withoutProjectors = models.Where(model => !model.Key.Contains("mmproj", StringComparison.OrdinalIgnoreCase)).ToArray();
        if (withoutProjectors.Length > 0 && withoutProjectors.Length < models.Length)
        {
            AddWarning(
                warnings, place, models.Except(withoutProjectors).SelectMany(model => model), "a projector for images or sound, left aside; open it by its own name");
            models = withoutProjectors;
        }

        return models.Length switch
        {
            // One part leads to the others.
            1 => new Selection([models[0].First()], null, warnings),
            0 => throw new InvalidCheckpointException(
                CheckpointErrorCode.NoWeights,
                place.Name,
                $"there are no files of the variant {Quoted.Name(options.Variant!)} here; there are "
                + $"{string.Join(", ", weights.Take(shown).Select(Quoted.Name))}."),
            _ => throw new InvalidCheckpointException(
                CheckpointErrorCode.Ambiguous,
                place.Name,
                $"there are {models.Length} models here: {string.Join(", ", models.Take(shown).Select(model => Quoted.Name(model.First())))}"
                + $"{(models.Length > shown ? ", …" : "")}; open the file that is meant{AddressOf(place, models[0].First())}, or choose by the end of its name with --variant "
                + $"({nameof(CheckpointOptions)}.{nameof(CheckpointOptions.Variant)})."),
        };
    }

    // Of a path everybody knows how it goes on.
    private static string AddressOf(ICheckpointPlace place, string name) =>
        AddressScheme.Of(place.Name) is null ? "" : $" ({(place is DownloadingPlace downloading ? downloading.AddressOf(name) : place.PathOf(name))})";

    // Quantisations are the variants of a model, after a dot or a hyphen: llama-2-7b.Q4_K_M, Qwen2-7B-Instruct-Q4_K_M.
    private static bool IsModelOf(string prefix, string variant) =>
        prefix.EndsWith("." + variant, StringComparison.OrdinalIgnoreCase) || prefix.EndsWith("-" + variant, StringComparison.OrdinalIgnoreCase);

    // Mistral's own copy of the weights counts only where it is all there is.
    private static string[] WithoutConsolidated(IEnumerable<string> names)
    {
        string[] all = [.. names];
        string[] others = [.. all.Where(name => !name.StartsWith(ConsolidatedStart, StringComparison.Ordinal))];
        return others.Length > 0 ? others : all;
    }

    private static void AddWarning(List<CheckpointWarning> warnings, ICheckpointPlace place, IEnumerable<string> names, string what)
    {
        foreach (var name in names)
        {
            warnings.Add(new CheckpointWarning(place.PathOf(name), what + "."));
        }
    }

    // "model.fp16-00001-of-00002" and "model-00001-of-00002.fp16" are shards of the variant fp16 of "model".
    private static (string Stem, string? Variant) VariantOf(string name, string extension)
    {
        var stem = ShardNumber().Replace(name[..^extension.Length], "");
        var dot = stem.LastIndexOf('.');
        // A digit there belongs to a version: model-v1.5.
        return dot > 0 && dot + 1 < stem.Length && !char.IsAsciiDigit(stem[dot + 1]) ? (stem[..dot], stem[(dot + 1)..]) : (stem, null);
    }

    // Read where it is named, but a folder's may be vocabularies and caches as well.
    private static bool IsPickle(string name) => Path.GetExtension(name).Equals(".pkl", StringComparison.OrdinalIgnoreCase);

    private static bool IsOtherWeightFile(string name) =>
        Path.GetExtension(name).ToUpperInvariant() is ".H5" or ".MSGPACK" or ".ONNX" or ".TFLITE" or ".PKL";

    [GeneratedRegex(@"\.index(\.[^./\\]+)?\.json$", RegexOptions.IgnoreCase | RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex IndexName();

    [GeneratedRegex(@"-(?<number>\d{5,6})-of-(?<count>\d{5,6})", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex ShardNumber();
}
