using System.Collections.Immutable;
using IlgpuLoader.Formats;
using IlgpuLoader.Formats.Safetensors;
using IlgpuLoader.Gpu;

namespace IlgpuLoader.Loading;

/// <summary>
/// The opened state of one rank: every header is read, no tensor byte is touched. Immutable and safe for any thread; disposing it closes its files, so do that after the last load from it.
/// </summary>
public sealed class ShardedState : IAsyncDisposable
{
    private readonly Dictionary<string, ShardedTensor> _byName;

    private ShardedState(string folder, int rank, ImmutableArray<RankManifest> manifests, Checkpoint checkpoint, StateLayout layout, ImmutableArray<string> warnings)
    {
        (Folder, Rank, Manifests, Checkpoint, Layout, Warnings) = (folder, rank, manifests, checkpoint, layout, warnings);
        Tensors = Restored(checkpoint, layout);
        _byName = Tensors.ToDictionary(tensor => tensor.Name, StringComparer.Ordinal);
    }

    /// <summary>The folder as it was given, or its address.</summary>
    public string Folder { get; }

    /// <summary>The rank whose state it is.</summary>
    public int Rank { get; }

    /// <summary>The manifests of all ranks in their order; none where the folder has none.</summary>
    public ImmutableArray<RankManifest> Manifests { get; }

    /// <summary>This rank's manifest; null where the folder has none.</summary>
    public RankManifest? Manifest => Manifests.IsEmpty ? null : Manifests[Rank];

    /// <summary>How many ranks the state was saved by; null where nothing says it.</summary>
    public int? WorldSize => Manifest?.WorldSize;

    /// <summary>This rank's files as one checkpoint.</summary>
    public Checkpoint Checkpoint { get; }

    /// <summary>The paths or addresses of this rank's files.</summary>
    public ImmutableArray<string> Files => [.. Checkpoint.Files.Select(file => file.Path)];

    /// <summary>What is odd, and what cannot be verified.</summary>
    public ImmutableArray<string> Warnings { get; }

    /// <summary>The tensors as they are restored, those in the files before further names of each.</summary>
    public ImmutableArray<ShardedTensor> Tensors { get; }

    /// <summary>The dtype that the model computes with, where its weights were processed before they were saved; else null.</summary>
    public DType? ProcessedFor => Layout.ProcessedFor;

    /// <summary>The class of each module's quantisation method; null where the files do not say.</summary>
    public IReadOnlyDictionary<string, string>? Methods => Layout.Methods;

    /// <summary>What the tensors' bytes cannot say.</summary>
    internal StateLayout Layout { get; }

    /// <summary>Finds a tensor.</summary>
    public ShardedTensor? Find(string name) => _byName.GetValueOrDefault(name);

    /// <summary>Opens the state of a rank.</summary>
    /// <param name="folder">The folder.</param>
    /// <param name="rank">The rank, from 0.</param>
    /// <param name="pattern">What the files are called where there are no manifests; null for the default.</param>
    /// <param name="cancellationToken">Cancels the opening; everything opened so far is closed.</param>
    /// <exception cref="InvalidCheckpointException">
    /// There are no files of that rank, a manifest or a file of it is missing or of another size, two files have one tensor, or a file breaks a rule of its format. Where the folder is missing because a save was killed while it put a
    /// new one in its place, the message says where the old one is.
    /// </exception>
    /// <exception cref="ManifestMismatchException">A file's header, which says what its bytes are and what is restored from them, is not the one that was saved.</exception>
    /// <exception cref="IOException">A file cannot be read.</exception>
    /// <exception cref="UnauthorizedAccessException">A file may not be read.</exception>
    public static Task<ShardedState> OpenAsync(string folder, int rank, ShardFilePattern? pattern = null, CancellationToken cancellationToken = default) =>
        OpenAsync(folder, rank, new ShardedStateOptions { Pattern = pattern ?? ShardFilePattern.Default }, cancellationToken);

    /// <summary>Opens the state of a rank in a folder, or at an address.</summary>
    /// <param name="folder">The folder or the address.</param>
    /// <param name="rank">The rank, from 0.</param>
    /// <param name="options">What the files are called where there are no manifests, and who finds addresses.</param>
    /// <param name="cancellationToken">Cancels the opening; everything opened so far is closed.</param>
    /// <inheritdoc cref="OpenAsync(string, int, ShardFilePattern?, CancellationToken)" path="/exception"/>
    internal static async Task<ShardedState> OpenAsync(string folder, int rank, ShardedStateOptions options, CancellationToken cancellationToken)
    {
        ArgumentException.ThrowIfNullOrEmpty(folder);
        ArgumentOutOfRangeException.ThrowIfNegative(rank);
        var place = await StatePlaces.LocateAsync(folder, options.Remote, cancellationToken).ConfigureAwait(false);
        if (place is LocalPlace)
        {
            ThrowIfSetAside(folder);
        }

        var manifests = await ReadManifestsAsync(place, cancellationToken).ConfigureAwait(false);
        var state = await OpenRankAsync(place, rank, options.Pattern, manifests, cancellationToken).ConfigureAwait(false);
        try
        {
            await ThrowIfReplacedAsync(place, manifests, cancellationToken).ConfigureAwait(false);
            return state;
        }
        catch
        {
            await state.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }

    /// <summary>Reads the manifests of a place.</summary>
    /// <exception cref="InvalidCheckpointException">There is no such folder, or a manifest breaks a rule.</exception>
    internal static Task<ImmutableArray<RankManifest>> ReadManifestsAsync(ICheckpointPlace place, CancellationToken cancellationToken) =>
        place is not LocalPlace || Directory.Exists(place.Name) ? RankManifest.ReadAllAsync(place, cancellationToken)
        : File.Exists(place.Name) ? throw StatePlaces.IsFile(place.Name)
        : throw new InvalidCheckpointException(CheckpointErrorCode.NoWeights, place.Name, "there is no such folder; is the path right, and the save complete?", SafetensorsConstants.Format);

    /// <summary>Refuses a folder that another save has replaced while files of it were opened: what is open may be of both.</summary>
    /// <param name="place">The folder.</param>
    /// <param name="manifests">What it had before.</param>
    /// <param name="cancellationToken">Cancels the reading.</param>
    /// <exception cref="InvalidCheckpointException">It has others now.</exception>
    internal static async Task ThrowIfReplacedAsync(ICheckpointPlace place, ImmutableArray<RankManifest> manifests, CancellationToken cancellationToken)
    {
        var now = await ReadManifestsAsync(place, cancellationToken).ConfigureAwait(false);
        if (!manifests.Select(manifest => manifest.SaveId).SequenceEqual(now.Select(manifest => manifest.SaveId))
            || !manifests.SelectMany(manifest => manifest.Files).SequenceEqual(now.SelectMany(manifest => manifest.Files)))
        {
            throw new InvalidCheckpointException(
                CheckpointErrorCode.ManifestInvalid,
                place.Name,
                $"the folder was replaced while it was opened: its files were of {SaveOf(manifests)}, and are of {SaveOf(now)} now; load it again.",
                SafetensorsConstants.Format);
        }

        static string SaveOf(ImmutableArray<RankManifest> manifests) => manifests.IsEmpty ? "a save without manifests" : $"the save {Quoted.Name(manifests[0].SaveId)}";
    }

    /// <summary>Opens the state of a rank by manifests that were read before (<see cref="ThrowIfReplacedAsync"/> is the caller's to do).</summary>
    internal static async Task<ShardedState> OpenRankAsync(ICheckpointPlace place, int rank, ShardFilePattern pattern, ImmutableArray<RankManifest> manifests, CancellationToken cancellationToken)
    {
        var warnings = new List<string>();
        var names = await place.ListAsync(cancellationToken).ConfigureAwait(false);
        string[] files;
        if (manifests.IsEmpty)
        {
            files = pattern.ChooseParts(place.Name, names, rank);
            warnings.Add($"{Quoted.Plain(place.Name)}: the state is not verified: the folder has no manifests (rank-N.json), as vLLM writes it, and nothing says what the files' bytes must be or that all are there.");
        }
        else
        {
            files = StatePlaces.FilesOf(place, names, rank, manifests);
            warnings.AddRange(RankFolderVerifier.FindUnlisted(place, names, manifests, name => IsPart(manifests, name)).Select(warning => $"{Quoted.Plain(warning.File)}: {warning.Message}"));
        }

        var checkpoint = await StatePlaces.OpenAsync(place, files, manifests.IsEmpty ? null : manifests[rank], cancellationToken).ConfigureAwait(false);
        try
        {
            if (!manifests.IsEmpty)
            {
                await HeaderCheck.EnsureAsync(place, checkpoint, manifests[rank], cancellationToken).ConfigureAwait(false);
            }

            warnings.AddRange(checkpoint.Warnings.Select(warning => $"{Quoted.Plain(warning.File)}: {warning.Message}"));
            return new ShardedState(place.Name, rank, manifests, checkpoint, StateLayout.Read(checkpoint), [.. warnings]);
        }
        catch
        {
            await checkpoint.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }

    /// <summary>Loads tensors as they were saved, without a model.</summary>
    /// <param name="names">Which; null for all.</param>
    /// <param name="options">Where to and how; null for the defaults.</param>
    /// <param name="progress">Called from the lanes' threads, in order; must return soon.</param>
    /// <param name="cancellationToken">Ends the load within the time of one slot; everything is freed.</param>
    /// <returns>The tensors, which the caller disposes.</returns>
    /// <exception cref="ArgumentException">The state has no tensor of a name, or an option chooses or changes tensors.</exception>
    /// <exception cref="ManifestMismatchException">Tensors have other bytes than when they were saved.</exception>
    /// <exception cref="DeviceMemoryException">Host or device cannot hold them.</exception>
    /// <exception cref="CheckpointException">A file is not what it was when it was opened.</exception>
    /// <exception cref="IOException">A read failed.</exception>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    public async Task<ShardedTensorDictionary> LoadTensorsAsync(
        IReadOnlyCollection<string>? names = null, ShardedStateLoadOptions? options = null, IProgress<LoadProgress>? progress = null, CancellationToken cancellationToken = default)
    {
        options ??= ShardedStateLoadOptions.Default;
        options.Check();
        var wanted = names?.ToHashSet(StringComparer.Ordinal) ?? _byName.Keys.ToHashSet(StringComparer.Ordinal);
        if (wanted.FirstOrDefault(name => !_byName.ContainsKey(name)) is { } unknown)
        {
            throw new ArgumentException($"The state has no tensor {Quoted.Name(unknown)}.", nameof(names));
        }

        var tensors = new Dictionary<string, Tensor>(StringComparer.Ordinal);
        try
        {
            await StateReading.RunAsync(this, options, new StateDictionaryTarget(wanted, tensors), progress, cancellationToken).ConfigureAwait(false);
            return new ShardedTensorDictionary(tensors);
        }
        catch
        {
            new ShardedTensorDictionary(tensors).Dispose();
            throw;
        }
    }

    /// <summary>Closes the files.</summary>
    public ValueTask DisposeAsync() => Checkpoint.DisposeAsync();

    // Where names cannot be exchanged there is a moment between two renames.
    private static void ThrowIfSetAside(string folder)
    {
        if (Leftovers.FindSetAside(folder) is { } aside)
        {
            throw new InvalidCheckpointException(
                CheckpointErrorCode.NoWeights,
                folder,
                $"there is no such folder: a save was ended while it replaced it, and what was there is in {Quoted.Plain(aside)}. The next save of this folder brings it back first; or rename it.");
        }
    }

    private static bool IsPart(ImmutableArray<RankManifest> manifests, string name)
    {
        try
        {
            return ShardFilePattern.Parse(manifests[0].Pattern).IsPart(name);
        }
        catch (ArgumentException)
        {
            // Manifests of another writer may have any text for it, and their lists of files are what counts.
            return false;
        }
    }

    private static ImmutableArray<ShardedTensor> Restored(Checkpoint checkpoint, StateLayout layout)
    {
        var views = new Dictionary<string, (RestoredView View, string StoredIn)>(StringComparer.Ordinal);
        foreach (var memory in layout.Memories)
        {
            var main = memory.Views.First(view => checkpoint.TryGetTensor(view.Name, out _)).Name;
            foreach (var view in memory.Views)
            {
                views.Add(view.Name, (view, checkpoint.TryGetTensor(view.Name, out _) ? view.Name : main));
            }
        }

        foreach (var view in layout.Stored.Values)
        {
            views.Add(view.Name, (view, view.Name));
        }

        var tensors = ImmutableArray.CreateBuilder<ShardedTensor>();
        foreach (var stored in checkpoint.Tensors)
        {
            var of = stored.TiedTo ?? stored.Name;
            tensors.Add(views.TryGetValue(of, out var entry) ? Describe(stored.Name, entry.View, of) : new ShardedTensor(stored.Name, stored.DType, stored.Shape, stored.Strides.IsDefault ? stored.Shape.RowMajorStrides() : stored.Strides, of));
        }

        tensors.AddRange(views.Values.Where(entry => entry.View.Name != entry.StoredIn).Select(entry => Describe(entry.View.Name, entry.View, entry.StoredIn)));
        return tensors.ToImmutable();
    }

    private static ShardedTensor Describe(string name, RestoredView view, string storedIn) => new(
        name,
        view.DType,
        view.Shape,
        !view.Strides.IsDefault ? view.Strides : view.DType.IsBlock ? view.Shape.With(view.Shape.Rank - 1, view.Shape[^1] / view.DType.BlockLength).RowMajorStrides() : view.Shape.RowMajorStrides(),
        storedIn);
}
