using System.Collections.Immutable;
using System.Globalization;
using System.Text;
using System.Text.Json;

namespace IlgpuLoader.Formats;

/// <summary>
/// What one rank put into a folder that several fill: its files with their SHA-256, and its tensors, so that a load checks what
/// it reads on the way; and the files beside them that are of no rank, as this rank saw them. It lies in that folder as <c>rank-N.json</c>. Immutable and safe for any thread.
/// </summary>
/// <remarks>
/// The file is JSON: <c>{"schema": "ilgpu-loader/rank/1", "save", "rank", "world_size", "pattern", "files": [{"name", "bytes",
/// "sha256", "header_sha256"}], "carried": [{"name", "bytes", "sha256"}], "tensors": {NAME: {"dtype", "shape", "sha256"}}}</c>.
/// </remarks>
public sealed class RankManifest
{
    private const string Schema = "ilgpu-loader/rank/1";
    private const string NameStart = "rank-";
    private const string NameEnd = ".json";

    /// <summary>Makes a manifest.</summary>
    /// <param name="saveId">
    /// What the save is called by all ranks: 1 to 64 letters and digits of ASCII, '.', '_' and '-', not beginning with '.', without '.save-' in it and
    /// not ending with '.tmp' or '.old'.
    /// </param>
    /// <param name="rank">The rank, from 0.</param>
    /// <param name="worldSize">How many ranks there are.</param>
    /// <param name="pattern">How the files are named, as the caller has it.</param>
    /// <param name="files">The rank's files, each name once.</param>
    /// <param name="tensors">The rank's tensors.</param>
    /// <param name="carried">The files of no rank that are beside them, configuration and tokenizer; null for none. The same for all ranks.</param>
    /// <exception cref="ArgumentException">An identifier, name or hash is none, or a file occurs twice.</exception>
    /// <exception cref="ArgumentOutOfRangeException">There is no such rank, or a size is negative.</exception>
    public RankManifest(string saveId, int rank, int worldSize, string pattern, IEnumerable<ManifestFile> files, TensorManifest tensors, IEnumerable<ManifestFile>? carried = null)
    {
        ArgumentNullException.ThrowIfNull(saveId);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(worldSize);
        ArgumentOutOfRangeException.ThrowIfNegative(rank);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(rank, worldSize);
        ArgumentNullException.ThrowIfNull(pattern);
        ArgumentNullException.ThrowIfNull(files);
        ArgumentNullException.ThrowIfNull(tensors);
        if (!TemporaryName.IsSaveId(saveId))
        {
            throw new ArgumentException($"{Quoted.Name(saveId)} is no identifier of a save.", nameof(saveId));
        }

        SaveId = saveId;
        Rank = rank;
        WorldSize = worldSize;
        Pattern = pattern;
        Files = [.. files];
        Carried = [.. carried ?? []];
        Tensors = tensors;
        if (Files.Concat(Carried).FirstOrDefault(file => !IsValid(file)) is { } bad)
        {
            throw new ArgumentException($"The file {Quoted.Name(bad.Name)} has no base name, size and SHA-256 that a manifest can hold.", nameof(files));
        }

        if (Files.Concat(Carried).DistinctBy(file => file.Name).Count() != Files.Length + Carried.Length)
        {
            throw new ArgumentException("A file occurs twice.", nameof(files));
        }
    }

    /// <summary>What the save is called by all ranks.</summary>
    public string SaveId { get; }

    /// <summary>The rank, from 0.</summary>
    public int Rank { get; }

    /// <summary>How many ranks there are.</summary>
    public int WorldSize { get; }

    /// <summary>How the files are named, as the writer has it: <c>model-rank-{rank}-part-{part}.safetensors</c>, say.</summary>
    public string Pattern { get; }

    /// <summary>The rank's files.</summary>
    public ImmutableArray<ManifestFile> Files { get; }

    /// <summary>The files beside those of all ranks that belong to none, as this rank saw them.</summary>
    public ImmutableArray<ManifestFile> Carried { get; }

    /// <summary>The rank's tensors.</summary>
    public TensorManifest Tensors { get; }

    /// <summary>The base name of a rank's manifest.</summary>
    public static string FileName(int rank) => string.Create(CultureInfo.InvariantCulture, $"{NameStart}{rank}{NameEnd}");

    /// <summary>
    /// Whether a base name is that of a rank's manifest: <c>rank-N.json</c> with the number as <see cref="FileName"/> writes it. Other files called
    /// <c>rank-*.json</c> are anybody's.
    /// </summary>
    public static bool IsFileName(ReadOnlySpan<char> name) => RankFiles.IsManifest(name);

    /// <summary>Reads a rank's manifest.</summary>
    /// <param name="path">The file.</param>
    /// <param name="cancellationToken">Cancels the reading.</param>
    /// <exception cref="FileNotFoundException">There is no such file.</exception>
    /// <exception cref="IOException">It cannot be read.</exception>
    /// <exception cref="InvalidCheckpointException">It is no rank's manifest, or breaks a rule; the message says which.</exception>
    /// <exception cref="CheckpointLimitException">It is larger than any manifest.</exception>
    public static async Task<RankManifest> ReadAsync(string path, CancellationToken cancellationToken = default)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        return Parse(path, await SideFile.ReadAsync(path, ManifestJson.MaximumBytes, ManifestJson.LimitName, cancellationToken).ConfigureAwait(false));
    }

    /// <summary>Reads the manifests of all ranks of a folder.</summary>
    /// <param name="folder">The folder.</param>
    /// <param name="cancellationToken">Cancels the reading.</param>
    /// <returns>The manifests in the order of their ranks, as many as the world size; none where the folder has none.</returns>
    /// <exception cref="IOException">The folder or a file cannot be read.</exception>
    /// <exception cref="InvalidCheckpointException">
    /// A manifest breaks a rule, ranks of the world size are missing, or the manifests do not belong together; the message names
    /// the ranks.
    /// </exception>
    /// <exception cref="CheckpointLimitException">A manifest is larger than any.</exception>
    public static Task<ImmutableArray<RankManifest>> ReadFolderAsync(string folder, CancellationToken cancellationToken = default)
    {
        ArgumentException.ThrowIfNullOrEmpty(folder);
        return ReadAllAsync(new LocalPlace(folder), cancellationToken);
    }

    /// <summary>Reads the manifests of all ranks of a place, one after the other.</summary>
    /// <param name="place">The place.</param>
    /// <param name="cancellationToken">Cancels the reading.</param>
    /// <returns>The manifests in the order of their ranks, as many as the world size; none where the place has none.</returns>
    /// <inheritdoc cref="ReadFolderAsync" path="/exception"/>
    public static async Task<ImmutableArray<RankManifest>> ReadAllAsync(ICheckpointPlace place, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(place);
        var manifests = new SortedDictionary<int, RankManifest>();
        string[] names = [.. (await place.ListAsync(cancellationToken).ConfigureAwait(false)).Where(IsListedName).Order(NaturalOrder.Instance)];
        await place.PrepareAsync(names, cancellationToken).ConfigureAwait(false);
        foreach (var name in names)
        {
            cancellationToken.ThrowIfCancellationRequested();
            var path = place.PathOf(name);
            var manifest = Parse(path, await SideFile.ReadAsync(place, name, ManifestJson.MaximumBytes, ManifestJson.LimitName, cancellationToken).ConfigureAwait(false));
            if (name != FileName(manifest.Rank))
            {
                throw ManifestJson.Invalid(path, $"it is the manifest of rank {manifest.Rank}, whose name is {FileName(manifest.Rank)}; give it back its name.");
            }

            manifests.Add(manifest.Rank, manifest);
        }

        ImmutableArray<RankManifest> all = [.. manifests.Values];
        if (!all.IsEmpty)
        {
            EnsureTogether(place.Name, all);
        }

        return all;
    }

    /// <summary>The manifest as the file's bytes.</summary>
    /// <exception cref="CheckpointLimitException">It is longer than this class would read.</exception>
    public byte[] ToBytes()
    {
        using var buffer = new MemoryStream();
        buffer.Write(Encoding.UTF8.GetBytes($"{{\"schema\": \"{Schema}\", \"save\": \"{SaveId}\", \"rank\": {Rank}, \"world_size\": {WorldSize}, \"pattern\": "));
        ManifestJson.WriteText(buffer, Pattern);
        buffer.Write(",\n\"files\": ["u8);
        WriteFiles(buffer, Files);
        buffer.Write("\n],\n\"carried\": ["u8);
        WriteFiles(buffer, Carried);
        buffer.Write("\n],\n\"tensors\": {"u8);
        ManifestJson.WriteEntries(buffer, Tensors.Entries);
        buffer.Write("\n}}\n"u8);
        return buffer.Length <= ManifestJson.MaximumBytes
            ? buffer.ToArray()
            : throw new CheckpointLimitException("manifest's length", buffer.Length, ManifestJson.MaximumBytes, ManifestJson.LimitName, FileName(Rank));
    }

    private static void WriteFiles(MemoryStream buffer, ImmutableArray<ManifestFile> files)
    {
        var separator = "\n"u8;
        foreach (var file in files)
        {
            buffer.Write(separator);
            buffer.Write("{\"name\": "u8);
            ManifestJson.WriteText(buffer, file.Name);
            buffer.Write(Encoding.UTF8.GetBytes($", \"bytes\": {file.ByteLength}, \"sha256\": \"{file.Sha256}\""));
            if (file.HeaderSha256 is { } header)
            {
                buffer.Write(Encoding.UTF8.GetBytes($", \"header_sha256\": \"{header}\""));
            }

            buffer.Write("}"u8);
            separator = ",\n"u8;
        }
    }

    /// <summary>Reads a manifest's bytes.</summary>
    internal static RankManifest Parse(string path, ReadOnlyMemory<byte> content)
    {
        try
        {
            using var document = JsonDocument.Parse(content, new JsonDocumentOptions { AllowDuplicateProperties = false });
            return Parse(path, document.RootElement);
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException)
        {
            throw ManifestJson.Invalid(path, $"it is not valid: {Quoted.Plain(exception.Message)}", exception);
        }
    }

    /// <summary>Refuses manifests that are not those of one save, or not all of them.</summary>
    /// <param name="folder">Where they are, for messages.</param>
    /// <param name="manifests">At least one, in the order of the ranks, each rank once.</param>
    internal static void EnsureTogether(string folder, ImmutableArray<RankManifest> manifests)
    {
        var first = manifests[0];
        var owners = new Dictionary<string, int>(StringComparer.Ordinal);
        foreach (var manifest in manifests)
        {
            Compare("save", first.SaveId, manifest.SaveId, manifest);
            Compare("world size", first.WorldSize.ToString(CultureInfo.InvariantCulture), manifest.WorldSize.ToString(CultureInfo.InvariantCulture), manifest);
            Compare("pattern", first.Pattern, manifest.Pattern, manifest);
            CompareCarried(folder, first, manifest);
            foreach (var file in manifest.Files)
            {
                if (!owners.TryAdd(file.Name, manifest.Rank))
                {
                    throw ManifestJson.Invalid(
                        folder, $"the file {Quoted.Name(file.Name)} is listed by rank {owners[file.Name]} and by rank {manifest.Rank}; save the state again.");
                }
            }
        }

        if (first.Carried.FirstOrDefault(file => owners.ContainsKey(file.Name)) is { } twice)
        {
            throw ManifestJson.Invalid(
                folder, $"the file {Quoted.Name(twice.Name)} is listed by rank {owners[twice.Name]} as its own and by all as of no rank; save the state again.");
        }

        if (manifests.Length != first.WorldSize)
        {
            var present = manifests.Select(manifest => manifest.Rank).ToHashSet();
            throw ManifestJson.Invalid(
                folder,
                $"{DescribeRanks(Enumerable.Range(0, first.WorldSize).Where(rank => !present.Contains(rank)), first.WorldSize - manifests.Length)} of the world size "
                + $"{first.WorldSize} {(first.WorldSize - manifests.Length == 1 ? "is" : "are")} not there: every rank's {FileName(0).Replace("0", "N", StringComparison.Ordinal)} and files must be; fetch what is missing, or save the state again.");
        }

        void Compare(string what, string expected, string actual, RankManifest manifest)
        {
            if (expected != actual)
            {
                throw ManifestJson.Invalid(
                    folder,
                    $"rank {manifest.Rank} has the {what} {Quoted.Name(actual)}, rank {first.Rank} {Quoted.Name(expected)}: they are of different saves; save the state again.");
            }
        }
    }

    // A configuration that changed while ranks were saved made other models of them.
    private static void CompareCarried(string folder, RankManifest first, RankManifest other)
    {
        if (first.Carried.Except(other.Carried).Concat(other.Carried.Except(first.Carried)).FirstOrDefault() is { } different)
        {
            throw ManifestJson.Invalid(
                folder,
                $"rank {other.Rank} was saved with {Describe(other)}, rank {first.Rank} with {Describe(first)}: the ranks are of different models; save the state again, all ranks with the same files.");

            string Describe(RankManifest manifest) => manifest.Carried.FirstOrDefault(file => file.Name == different.Name) is { } seen
                ? $"a {Quoted.Name(seen.Name)} of {seen.ByteLength} bytes and the SHA-256 {seen.Sha256}"
                : $"no {Quoted.Name(different.Name)}";
        }
    }

    // Where capitals make another file, one called RANK-0.json is anybody's.
    private static bool IsListedName(string name) =>
        IsFileName(name) && (!OperatingSystem.IsLinux() || (name.StartsWith(NameStart, StringComparison.Ordinal) && name.EndsWith(NameEnd, StringComparison.Ordinal)));

    private static string DescribeRanks(IEnumerable<int> ranks, int count)
    {
        const int shown = 8;
        var names = string.Join(", ", ranks.Take(shown)) + (count > shown ? ", …" : "");
        return count == 1 ? $"rank {names}" : $"{count} ranks ({names})";
    }

    private static bool IsValid(ManifestFile file) =>
        IsOwnName(file.Name) && file.ByteLength >= 0 && ManifestJson.IsHash(file.Sha256) && (file.HeaderSha256 is null || ManifestJson.IsHash(file.HeaderSha256));

    // A file of the folder itself, and no rank's manifest.
    private static bool IsOwnName(string name) => OutputPath.IsBaseName(name) && !IsFileName(name);

    private static RankManifest Parse(string path, JsonElement root)
    {
        if (root.ValueKind != JsonValueKind.Object
            || !root.TryGetProperty("schema"u8, out var schema)
            || schema.ValueKind != JsonValueKind.String
            || schema.GetString() != Schema)
        {
            throw ManifestJson.Invalid(path, $"it is no manifest of a rank: a JSON object with the schema '{Schema}' was expected.");
        }

        if (!root.TryGetProperty("save"u8, out var save)
            || save.ValueKind != JsonValueKind.String
            || !TemporaryName.IsSaveId(save.GetString())
            || !TryGetNumber(root, "world_size"u8, out var worldSize)
            || worldSize == 0
            || !TryGetNumber(root, "rank"u8, out var rank)
            || rank >= worldSize
            || !root.TryGetProperty("pattern"u8, out var pattern)
            || pattern.ValueKind != JsonValueKind.String
            || !root.TryGetProperty("files"u8, out var files)
            || files.ValueKind != JsonValueKind.Array
            || !root.TryGetProperty("carried"u8, out var carried)
            || carried.ValueKind != JsonValueKind.Array
            || !root.TryGetProperty("tensors"u8, out var tensors)
            || tensors.ValueKind != JsonValueKind.Object)
        {
            throw ManifestJson.Invalid(
                path, "the identifier 'save', a 'rank' below the 'world_size', the string 'pattern', the arrays 'files' and 'carried' and the object 'tensors' were expected.");
        }

        var names = new HashSet<string>(StringComparer.Ordinal);
        var listed = ParseFiles(path, files, names);
        return new RankManifest(save.GetString()!, rank, worldSize, pattern.GetString()!, listed, ManifestJson.ReadEntries(path, tensors), ParseFiles(path, carried, names));
    }

    private static ImmutableArray<ManifestFile> ParseFiles(string path, JsonElement files, HashSet<string> names)
    {
        var listed = ImmutableArray.CreateBuilder<ManifestFile>(files.GetArrayLength());
        foreach (var element in files.EnumerateArray())
        {
            var file = ParseFile(path, element, listed.Count);
            if (!names.Add(file.Name))
            {
                throw ManifestJson.Invalid(path, $"the file {Quoted.Name(file.Name)} is listed twice.");
            }

            listed.Add(file);
        }

        return listed.MoveToImmutable();
    }

    private static ManifestFile ParseFile(string path, JsonElement element, int index)
    {
        if (element.ValueKind == JsonValueKind.Object
            && element.TryGetProperty("name"u8, out var name)
            && name.ValueKind == JsonValueKind.String
            && IsOwnName(name.GetString()!)
            && element.TryGetProperty("bytes"u8, out var bytes)
            && bytes.ValueKind == JsonValueKind.Number
            && bytes.TryGetInt64(out var length)
            && length >= 0
            && ManifestJson.TryGetHash(element, out var digits)
            && TryGetHeaderHash(element, out var header))
        {
            return new ManifestFile(name.GetString()!, length, digits, header);
        }

        throw ManifestJson.Invalid(
            path, $"file {index}: the name of a file beside the manifest, its size in bytes, and a sha256 of 64 lower-case hexadecimal digits were expected.");
    }

    private static bool TryGetHeaderHash(JsonElement element, out string? digits)
    {
        digits = null;
        if (!element.TryGetProperty("header_sha256"u8, out var hash))
        {
            return true;
        }

        digits = hash.ValueKind == JsonValueKind.String ? hash.GetString()! : "";
        return ManifestJson.IsHash(digits);
    }

    private static bool TryGetNumber(JsonElement root, ReadOnlySpan<byte> name, out int number)
    {
        number = 0;
        return root.TryGetProperty(name, out var element) && element.ValueKind == JsonValueKind.Number && element.TryGetInt32(out number) && number >= 0;
    }
}
