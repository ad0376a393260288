using System.Collections.ObjectModel;

namespace IlgpuLoader.Formats.Torch;

/// <summary>
/// What has been found in a file so far: tensors, other values and warnings, within a limit of memory. Not safe for several
/// threads.
/// </summary>
/// <param name="file">The file, for messages.</param>
/// <param name="maximumBytes">The most memory that all of it may take.</param>
internal sealed class TorchFindings(CheckpointFile file, long maximumBytes)
{
    // What a path, a tensor with its shape, and an entry of the metadata take beside the letters of their names.
    private const int PathBytes = 80, TensorBytes = 300, ValueBytes = 60, SectionBytes = 240, WarningBytes = 600, LocationBytes = 50;

    private const int ShownNames = 5;

    private const string RepeatedNames = "whose names other values have, which came first";

    private readonly List<TorchFinding> _tensors = [];
    private readonly Dictionary<string, TorchPath> _paths = [];
    private readonly OrderedDictionary<string, object> _metadata = [];
    private readonly OrderedDictionary<string, (int Count, List<string> Shown)> _omitted = [];
    private readonly List<IByteSource> _sections = [];
    private readonly Dictionary<long, string> _locations = [];
    private long _bytes;

    /// <summary>The tensors in the order in which they were found.</summary>
    public IReadOnlyList<TorchFinding> Tensors => _tensors;

    /// <summary>The other values, by the names of their paths, in that order.</summary>
    public IReadOnlyDictionary<string, object> Metadata => _metadata;

    /// <summary>The devices that storages were on which were not in host memory, by where the storage begins in the file.</summary>
    public IReadOnlyDictionary<long, string> Locations => _locations.Count == 0 ? ReadOnlyDictionary<long, string>.Empty : _locations;

    /// <summary>Bytes that the pickle itself holds, to be put behind the file.</summary>
    public IReadOnlyList<IByteSource> Sections => _sections;

    /// <summary>The byte after the last section: where the next one will begin.</summary>
    public long End { get; private set; } = file.Length;

    /// <summary>What is odd, in sentences.</summary>
    public IReadOnlyList<string> Warnings =>
    [
        .. _omitted.Select(entry =>
            $"left out: {string.Join(", ", entry.Value.Shown)}{(entry.Value.Count > ShownNames ? $" and {entry.Value.Count - ShownNames} more" : "")}, {entry.Key}."),
    ];

    /// <summary>Counts memory.</summary>
    /// <exception cref="CheckpointLimitException">It is too much.</exception>
    public void Charge(long bytes)
    {
        _bytes += bytes;
        if (_bytes > maximumBytes)
        {
            throw new CheckpointLimitException(
                "memory in bytes for names, tensors and metadata",
                _bytes,
                maximumBytes,
                $"{nameof(TorchLimits)}.{nameof(TorchLimits.MaximumEntryBytes)}",
                file.Path,
                TorchConstants.Format);
        }
    }

    /// <summary>Keeps the device that a storage was on; the first that is said of it counts, as for torch.load.</summary>
    public void Locate(TorchStorage storage, string? location)
    {
        if (location is not (null or TorchConstants.HostLocation) && _locations.TryAdd(storage.Offset, location))
        {
            Charge(LocationBytes);
        }
    }

    /// <summary>The path of a child, counted before it is made.</summary>
    public TorchPath Child(TorchPath parent, string key)
    {
        Charge(PathBytes + (2L * (parent.Name.Length + key.Length + 1)));
        return parent.Child(key);
    }

    /// <summary>Adds a tensor.</summary>
    /// <exception cref="InvalidCheckpointException">Another has its name, or the name is no text.</exception>
    public void Add(TorchFinding tensor)
    {
        Charge(TensorBytes + (16L * tensor.Shape.Rank));
        var name = tensor.Path.Name;
        if (!SurrogatePairs.AreWhole(name))
        {
            throw new InvalidCheckpointException(
                CheckpointErrorCode.TensorNameInvalid,
                file.Path,
                "the name has half of a surrogate pair, which is no character and cannot be written anywhere.",
                TorchConstants.Format,
                tensor: name);
        }

        if (!_paths.TryAdd(name, tensor.Path))
        {
            throw new InvalidCheckpointException(
                CheckpointErrorCode.DuplicateTensor,
                file.Path,
                $"two tensors have this name: {_paths[name]} and {tensor.Path}. Save them again under keys that are texts, differ and have no dots.",
                TorchConstants.Format,
                tensor: name);
        }

        _tensors.Add(tensor);
    }

    /// <summary>Adds a value that is no tensor.</summary>
    public void Add(TorchPath path, object value)
    {
        Charge(ValueBytes);
        if (!_metadata.TryAdd(path.Name, value))
        {
            Omit(path, RepeatedNames);
        }
    }

    /// <summary>Notes something that is left out.</summary>
    /// <param name="path">Where it is.</param>
    /// <param name="reason">Why, as the end of a sentence that begins with names.</param>
    public void Omit(TorchPath path, string reason)
    {
        if (!_omitted.TryGetValue(reason, out var omitted))
        {
            // Reasons may name types of the file's own.
            Charge(WarningBytes + (2L * reason.Length));
            omitted = (0, []);
        }

        if (omitted.Count < ShownNames)
        {
            omitted.Shown.Add(Quoted.Name(path.Name));
        }

        _omitted[reason] = (omitted.Count + 1, omitted.Shown);
    }

    /// <summary>Puts bytes behind the file that its pickle holds.</summary>
    /// <returns>A storage of them.</returns>
    public TorchStorage AddSection(byte[] bytes, bool isBigEndian)
    {
        var storage = new TorchStorage((1 << 30) + _sections.Count, End, bytes.Length) { IsBigEndian = isBigEndian };
        // The bytes themselves were counted where they were made.
        Charge(SectionBytes);
        _sections.Add(new MemorySource(bytes, file.Path));
        End = checked(End + bytes.Length);
        return storage;
    }
}
