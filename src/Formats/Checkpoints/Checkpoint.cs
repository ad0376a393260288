using System.Collections.Immutable;
using System.Diagnostics.CodeAnalysis;
using System.Text.Json;
using IlgpuLoader.Formats.Gguf;

namespace IlgpuLoader.Formats;

/// <summary>
/// An opened checkpoint: every header is read and validated, no tensor byte is touched. Immutable and safe for any
/// thread; disposing it closes its files, so do that after the last load from it.
/// </summary>
public sealed partial class Checkpoint : IAsyncDisposable
{
    private readonly Dictionary<string, TensorInfo> _byName;

    private Checkpoint(
        string path,
        IReadOnlyList<OpenedFile> files,
        Dictionary<string, TensorInfo> byName,
        ImmutableArray<TensorInfo> tensors,
        ModelConfig? config,
        ImmutableArray<CheckpointWarning> warnings,
        string? root)
    {
        Path = path;
        Root = root;
        WeightsRoot = root is null ? CheckpointRoot.OfWeights(files) : null;
        Files = [.. files.Select(file => file.File)];
        Tensors = tensors;
        Config = config;
        Warnings = warnings;
        var unreadable = files.SelectMany(file => file.Content.Unreadable);
        UnreadableTensors = [.. root is null ? unreadable : CheckpointRoot.Narrow(root, unreadable)];
        _byName = byName;
        var metadata = new Dictionary<string, object>();
        foreach (var file in files)
        {
            foreach (var (key, value) in file.Content.Metadata)
            {
                _ = metadata.TryAdd(key, value);
            }
        }

        Metadata = (root is null ? metadata : CheckpointRoot.Narrow(root, metadata)).AsReadOnly();
    }

    /// <summary>The file or folder as it was given, or its address without a user and a query: it may be shown.</summary>
    public string Path { get; }

    /// <summary>The container format, such as <c>safetensors</c>.</summary>
    public string Format => Files[0].Format;

    /// <summary>The files in natural order of their names, at least one.</summary>
    public ImmutableArray<CheckpointFile> Files { get; }

    /// <summary>
    /// The tensors, file by file, in the order of their bytes. An alias (<see cref="TensorInfo.TiedTo"/>) comes right
    /// after the tensor whose storage it shares.
    /// </summary>
    public ImmutableArray<TensorInfo> Tensors { get; }

    /// <summary>
    /// Tensors of unknown types, where <see cref="CheckpointOptions.ListUnreadableTensors"/> asks for them; else there are
    /// none. They are not among <see cref="Tensors"/>.
    /// </summary>
    public ImmutableArray<UnreadableTensor> UnreadableTensors { get; }

    /// <summary>
    /// The files' own metadata; where several files have one key, the first file's value counts, and of a split GGUF model
    /// there is the first part's alone. Values of safetensors files are strings; their entry <c>ties</c> is not among them
    /// where it was understood. Values of GGUF files are boxed numbers, truth values, strings and
    /// <see cref="Gguf.GgufArray"/>. Values of PyTorch files are <see cref="bool"/>, <see cref="long"/>,
    /// <see cref="System.Numerics.BigInteger"/>, <see cref="float"/>, <see cref="double"/>, <see cref="System.Numerics.Complex"/>,
    /// <see cref="string"/>, arrays of <see cref="byte"/>, <see cref="DBNull"/> for None, and <see cref="Torch.TorchList"/> of these.
    /// Where a root was asked for, what lies below it has lost it in its name too.
    /// </summary>
    public IReadOnlyDictionary<string, object> Metadata { get; }

    /// <summary>The <c>config.json</c> beside the files, where there is one that can be read.</summary>
    public ModelConfig? Config { get; }

    /// <summary>The root that was asked for (<see cref="CheckpointOptions.Root"/>), which the names of tensors have lost; null without one.</summary>
    public string? Root { get; }

    /// <summary>
    /// The part that holds the weights, where the structure of a training checkpoint shows one of the usual three
    /// (<c>state_dict</c>, <c>model</c>, <c>model_state_dict</c>) and no root was asked for; else null. Names keep it, and a
    /// tensor is also found without it.
    /// </summary>
    public string? WeightsRoot { get; }

    /// <summary>Where the files lie; null of a checkpoint that was opened over sources.</summary>
    internal ICheckpointPlace? Place { get; private set; }

    /// <summary>What is odd but does not keep the checkpoint from being read.</summary>
    public ImmutableArray<CheckpointWarning> Warnings { get; }

    /// <summary>The size of all tensors in bytes as they are stored; a storage that several share counts once.</summary>
    public long TensorBytes => StoredSize.Of(Tensors);

    /// <summary>The tensor of this name.</summary>
    /// <exception cref="TensorNotFoundException">There is none; the exception has the nearest names.</exception>
    public TensorInfo this[string name] =>
        TryGetTensor(name, out var tensor) ? tensor : throw new TensorNotFoundException(name, Path, Tensors.Select(t => t.Name));

    /// <summary>Opens a checkpoint: a file, a folder, or the index of a sharded checkpoint.</summary>
    /// <param name="path">The path, of which symbolic links are followed; or an address, where <see cref="CheckpointOptions.Remote"/> finds those.</param>
    /// <param name="options">What to open and what to accept; null for the defaults.</param>
    /// <param name="cancellationToken">Cancels the opening; everything opened so far is closed.</param>
    /// <exception cref="FileNotFoundException">There is no such file.</exception>
    /// <exception cref="IOException">A file cannot be read.</exception>
    /// <exception cref="UnauthorizedAccessException">A file may not be read.</exception>
    /// <exception cref="InvalidCheckpointException">A file breaks a rule of its format, or a folder holds no weights.</exception>
    /// <exception cref="CheckpointLimitException">A file asks for more than the options allow.</exception>
    /// <exception cref="UnsafePickleException">A PyTorch file or pickle asks for something that would run code.</exception>
    /// <exception cref="UnsupportedCheckpointException">A file is of a format that is not read.</exception>
    public static Task<Checkpoint> OpenAsync(
        string path, CheckpointOptions? options = null, CancellationToken cancellationToken = default)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        // Headers of local files are read and parsed without a thread switch between; the caller's thread is not the
        // one to block for that.
        return Task.Run(() => OpenPathAsync(path, options ?? CheckpointOptions.Default, cancellationToken), cancellationToken);
    }

    /// <summary>
    /// Opens a checkpoint of one file from any source of bytes. A part of a split GGUF model is opened alone, with a warning:
    /// nobody knows where the others are.
    /// </summary>
    /// <param name="source">The bytes.</param>
    /// <param name="options">What to accept; null for the defaults.</param>
    /// <param name="leaveOpen">Whether the source stays open when the checkpoint is disposed, and when opening fails.</param>
    /// <param name="cancellationToken">Cancels the opening.</param>
    /// <inheritdoc cref="OpenAsync(string, CheckpointOptions?, CancellationToken)" path="/exception"/>
    public static async Task<Checkpoint> OpenAsync(
        IByteSource source, CheckpointOptions? options = null, bool leaveOpen = false, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(source);
        var detector = new FormatDetector(options ?? CheckpointOptions.Default);
        // What the reader puts over the source, such as passes through what is compressed, ends with the checkpoint in any case.
        var file = await OpenFileAsync(leaveOpen ? BorrowedSource.Of(source) : source, detector, cancellationToken).ConfigureAwait(false);
        try
        {
            var warnings = GgufSplit.WarningOfPart(file.File) is { } warning ? new List<CheckpointWarning> { new(file.File.Path, warning) } : [];
            return Assemble(source.Name, [file], null, null, options?.Root, warnings);
        }
        catch
        {
            await file.File.Source.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }

    /// <summary>Finds a tensor by its exact name, or by its name below <see cref="WeightsRoot"/>.</summary>
    public bool TryGetTensor(string name, [NotNullWhen(true)] out TensorInfo? tensor) =>
        _byName.TryGetValue(name, out tensor)
        || (WeightsRoot is not null && _byName.TryGetValue(CheckpointRoot.Join(WeightsRoot, name), out tensor));

    /// <summary>Closes the files.</summary>
    public ValueTask DisposeAsync() => DisposeAsync(Files.Select(file => file.Source));

    /// <summary>
    /// A checkpoint of one file and any tensors: those that a format describes and no reader here makes yet, such as names
    /// that share a storage.
    /// </summary>
    /// <param name="file">The file, whose source the checkpoint disposes.</param>
    /// <param name="tensors">The tensors, in the order of their bytes.</param>
    internal static Checkpoint OfTensors(CheckpointFile file, IReadOnlyList<TensorInfo> tensors) =>
        Assemble(file.Path, [new OpenedFile(file, new FileContent(tensors, new Dictionary<string, object>()))], null, null, null, []);

    /// <summary>A checkpoint of files that were opened one by one.</summary>
    /// <param name="path">What it is called in messages.</param>
    /// <param name="files">The files, at least one, whose sources the checkpoint disposes.</param>
    /// <param name="config">The configuration, where there is one.</param>
    internal static Checkpoint OfFiles(string path, IReadOnlyList<OpenedFile> files, ModelConfig? config) =>
        Assemble(path, files, null, config, null, []);

    private static async Task<Checkpoint> OpenPathAsync(string path, CheckpointOptions options, CancellationToken cancellationToken)
    {
        var detector = new FormatDetector(options);
        var (place, name) = await CheckpointFolder
            .LocateAsync(path, new OpenFileLimit(options.MaximumOpenFiles), options, cancellationToken)
            .ConfigureAwait(false);
        // From here on it is shown: in messages, documents and reports.
        path = AddressScheme.WithoutSecrets(path);
        CheckpointFolder.Selection selection;
        if (name is null)
        {
            selection = await CheckpointFolder.SelectAsync(place, detector.Extensions, options, cancellationToken).ConfigureAwait(false);
        }
        else if (CheckpointFolder.IsIndexName(name) && await place.ExistsAsync(name, cancellationToken).ConfigureAwait(false))
        {
            selection = await CheckpointFolder.FromIndexAsync(place, name, options, cancellationToken).ConfigureAwait(false);
        }
        else
        {
            selection = new CheckpointFolder.Selection([name], null, []);
        }

        IEnumerable<string> parts = selection.Files is [var only] ? GgufSplit.NamesBeside(only) : [];
        await place.PrepareAsync([.. selection.Files, .. parts, ModelConfig.FileName], cancellationToken).ConfigureAwait(false);

        OpenedFile[] files = selection.Files.Count == 1
            ? await OpenPartsAsync(place, selection.Files[0], detector, cancellationToken).ConfigureAwait(false)
            : await OpenFilesAsync(place, selection.Files, detector, cancellationToken).ConfigureAwait(false);
        try
        {
            // Parts lead to one another, whatever the first of them turns out to be.
            if (files.Length > 1 && (selection.Files.Count == 1 || files[0].File.Header is GgufHeader))
            {
                GgufSplit.Check([.. files.Select(file => (file.File, file.Content))]);
                // What a later part says beside its number is no business of the model's.
                var none = new Dictionary<string, object>();
                files = [files[0], .. files.Skip(1).Select(file => file with { Content = file.Content with { Metadata = none } })];
            }

            var warnings = selection.Warnings.ToList();
            var config = await place.ExistsAsync(ModelConfig.FileName, cancellationToken).ConfigureAwait(false)
                ? await ReadConfigAsync(place, options, warnings, cancellationToken).ConfigureAwait(false)
                : null;
            var checkpoint = Assemble(path, files, selection.Index, config, options.Root, warnings);
            checkpoint.Place = place;
            return checkpoint;
        }
        catch
        {
            await DisposeAsync(files).ConfigureAwait(false);
            throw;
        }
    }

    // A file may turn out to be one part of a model that was split: the others lie beside it.
    private static async Task<OpenedFile[]> OpenPartsAsync(
        ICheckpointPlace place, string name, FormatDetector detector, CancellationToken cancellationToken)
    {
        var given = await OpenFileAsync(await place.OpenAsync(name, cancellationToken).ConfigureAwait(false), detector, cancellationToken).ConfigureAwait(false);
        try
        {
            var parts = await GgufSplit.PartsOfAsync(given.File, place, cancellationToken).ConfigureAwait(false);
            if (parts.Count == 1)
            {
                return [given];
            }

            string[] others = [.. parts.Where(part => part != given.File.Name)];
            var opened = await OpenFilesAsync(place, others, detector, cancellationToken).ConfigureAwait(false);
            return [.. opened.Append(given).OrderBy(file => file.File.Name, NaturalOrder.Instance)];
        }
        catch
        {
            await given.File.Source.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }

    // Headers are small and parsing them is work for a core each; a thousand shards open in a fraction of the time.
    private static async Task<OpenedFile[]> OpenFilesAsync(
        ICheckpointPlace place, IReadOnlyList<string> names, FormatDetector detector, CancellationToken cancellationToken)
    {
        var files = new OpenedFile?[names.Count];
        try
        {
            await Parallel.ForAsync(
                0,
                names.Count,
                new ParallelOptions { MaxDegreeOfParallelism = place.ParallelOpens, CancellationToken = cancellationToken },
                async (i, token) => files[i] = await OpenFileAsync(
                    await place.OpenAsync(names[i], token).ConfigureAwait(false), detector, token).ConfigureAwait(false)).ConfigureAwait(false);
            return files!;
        }
        catch
        {
            await DisposeAsync(files.OfType<OpenedFile>()).ConfigureAwait(false);
            throw;
        }
    }

    // Disposes the source if it turns out not to be a checkpoint.
    private static async Task<OpenedFile> OpenFileAsync(
        IByteSource source, FormatDetector detector, CancellationToken cancellationToken)
    {
        try
        {
            var head = new byte[(int)Math.Min(FormatDetector.HeadBytes, source.Length)];
            await source.ReadExactlyAsync(0, head, cancellationToken).ConfigureAwait(false);
            var format = detector.Detect(head, source.Name);
            var file = new CheckpointFile(System.IO.Path.GetFileName(source.Name), source.Name, format.Name, source);
            var content = await format.ReadAsync(file, head, cancellationToken).ConfigureAwait(false);
            return new OpenedFile(content.File ?? file, content);
        }
        catch
        {
            await source.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }

    private static async Task<ModelConfig?> ReadConfigAsync(
        ICheckpointPlace place, CheckpointOptions options, List<CheckpointWarning> warnings, CancellationToken cancellationToken)
    {
        try
        {
            return await ModelConfig.ReadAsync(place, ModelConfig.FileName, options, cancellationToken).ConfigureAwait(false);
        }
        catch (Exception exception) when (exception is JsonException or CheckpointException or IOException or UnauthorizedAccessException)
        {
            // The weights can be read without it.
            warnings.Add(new CheckpointWarning(place.PathOf(ModelConfig.FileName), $"the configuration is not read: {Quoted.Plain(exception.Message)}"));
            return null;
        }
    }

    private static Checkpoint Assemble(
        string path,
        IReadOnlyList<OpenedFile> files,
        ShardIndex? index,
        ModelConfig? config,
        string? root,
        List<CheckpointWarning> warnings)
    {
        var capacity = 0;
        var hasTies = false;
        foreach (var file in files)
        {
            capacity += file.Content.Tensors.Count;
            hasTies |= file.Content.Ties is not null;
        }

        var byName = new Dictionary<string, TensorInfo>(capacity);
        var tensors = ImmutableArray.CreateBuilder<TensorInfo>(capacity);
        foreach (var file in files)
        {
            var unmapped = new List<string>();
            foreach (var tensor in file.Content.Tensors)
            {
                if (index is not null && !index.ShardOf.TryGetValue(tensor.Name, out var shard))
                {
                    unmapped.Add(tensor.Name);
                    continue;
                }
                else if (index is not null && index.ShardOf[tensor.Name] != file.File.Name)
                {
                    // A copy that the index maps to another shard: that one counts.
                    continue;
                }

                if (!byName.TryAdd(tensor.Name, tensor))
                {
                    throw new InvalidCheckpointException(
                        CheckpointErrorCode.DuplicateTensor,
                        path,
                        $"it is in {Quoted.Name(byName[tensor.Name].File.Name)} and in {Quoted.Name(file.File.Name)}, "
                        + (Directory.Exists(path) && RankFiles.AreIn(path)
                            ? "and the folder holds the shares of several ranks; load it with 'load --sharded --rank R', or name one of the files."
                            : "and there is no index that says which counts; remove one of the files, or open the one you mean."),
                        tensor: tensor.Name);
                }

                tensors.Add(tensor);
            }

            AddUnmappedWarning(warnings, file.File, unmapped);
        }

        if (hasTies)
        {
            tensors = TiedTensors.Add(files, index, byName, tensors, warnings);
        }

        foreach (var file in files)
        {
            warnings.AddRange(file.Content.Warnings.Select(warning => new CheckpointWarning(file.File.Path, warning)));
        }

        if (index is not null)
        {
            index.Check(byName, tensors, warnings);
        }

        if (root is not null)
        {
            tensors = CheckpointRoot.Narrow(path, root, tensors, byName);
        }

        return new Checkpoint(path, files, byName, tensors.ToImmutable(), config, [.. warnings], root);
    }

    private static void AddUnmappedWarning(List<CheckpointWarning> warnings, CheckpointFile file, List<string> unmapped)
    {
        const int shown = 3;
        if (unmapped.Count > 0)
        {
            var names = string.Join(", ", unmapped.Take(shown).Select(Quoted.Name)) + (unmapped.Count > shown ? ", …" : "");
            warnings.Add(new CheckpointWarning(file.Path, $"{unmapped.Count} tensors are not in the index and are left out: {names}."));
        }
    }

    private static ValueTask DisposeAsync(IEnumerable<OpenedFile> files) => DisposeAsync(files.Select(file => file.File.Source));

    private static async ValueTask DisposeAsync(IEnumerable<IByteSource> sources)
    {
        foreach (var source in sources)
        {
            await source.DisposeAsync().ConfigureAwait(false);
        }
    }
}
