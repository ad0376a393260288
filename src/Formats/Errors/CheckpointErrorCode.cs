namespace IlgpuLoader.Formats;

/// <summary>
/// What is wrong, for programs. The names are printed by the tool and are stable: new ones may come, old ones stay.
/// </summary>
public enum CheckpointErrorCode
{
    /// <summary>The file ends before the fixed part of the header.</summary>
    HeaderTooSmall,
    /// <summary>The header says it is larger than the limit.</summary>
    HeaderTooLarge,
    /// <summary>The header says it is larger than the file.</summary>
    HeaderOutOfFile,
    /// <summary>The version of the format is none that there is.</summary>
    UnknownVersion,
    /// <summary>The header is not valid UTF-8, or a name in it is not.</summary>
    HeaderNotUtf8,
    /// <summary>The header is not the JSON object it must be.</summary>
    HeaderNotJson,
    /// <summary>A field of the header is missing, given twice, or of the wrong type.</summary>
    HeaderFieldInvalid,
    /// <summary>The file's own metadata is not what its format allows.</summary>
    MetadataInvalid,
    /// <summary>A tensor name occurs twice.</summary>
    DuplicateTensor,
    /// <summary>A tensor name is not allowed.</summary>
    TensorNameInvalid,
    /// <summary>A dtype is not one the format knows.</summary>
    UnknownDType,
    /// <summary>A tensor's bytes do not begin where the previous ones end, or end before they begin.</summary>
    OffsetInvalid,
    /// <summary>A tensor's byte range does not match its dtype and shape.</summary>
    SizeMismatch,
    /// <summary>A size computed from the file does not fit 64 bits.</summary>
    SizeOverflow,
    /// <summary>A tensor of a type smaller than a byte does not end on a byte, or the rows of a block type are no whole blocks.</summary>
    MisalignedTensor,
    /// <summary>The file ends before its last tensor does.</summary>
    FileTruncated,
    /// <summary>The file goes on after its last tensor.</summary>
    TrailingBytes,
    /// <summary>A zip archive, or a record of one, is not what it must be.</summary>
    ArchiveInvalid,
    /// <summary>A pickle breaks a rule of its opcodes, or builds what no checkpoint holds.</summary>
    PickleInvalid,
    /// <summary>A pickle asks for something that would run code.</summary>
    UnsafePickle,
    /// <summary>A pickle describes a storage, or a view into one, that cannot be.</summary>
    StorageInvalid,
    /// <summary>The file was replaced or changed while it was being read.</summary>
    FileChanged,
    /// <summary>An index file is not what it must be.</summary>
    IndexInvalid,
    /// <summary>An index names a shard outside its own folder.</summary>
    IndexPathUnsafe,
    /// <summary>A shard that an index names does not exist; or, without an index, one of as many as the names of the others say.</summary>
    ShardMissing,
    /// <summary>The parts of a split model do not belong together.</summary>
    SplitInvalid,
    /// <summary>A tensor that an index maps to a shard is not in it.</summary>
    ShardTensorMissing,
    /// <summary>A folder holds no weights that can be read, or none of the variant asked for.</summary>
    NoWeights,
    /// <summary>There are no tensors below the root that was asked for.</summary>
    RootMissing,
    /// <summary>Several index files or sets of files could be meant.</summary>
    Ambiguous,
    /// <summary>The file is a git-lfs pointer, not the file it points to.</summary>
    GitLfsPointer,
    /// <summary>The file is an HTML or XML page, as a failed download leaves it.</summary>
    HtmlPage,
    /// <summary>The file is filled with zeros where data is expected, as an interrupted download leaves it.</summary>
    ZeroFilled,
    /// <summary>The first bytes are those of no known checkpoint format.</summary>
    UnknownFormat,
    /// <summary>The format or feature is known but cannot be read by this version.</summary>
    Unsupported,
    /// <summary>A tensor has values that are NaN or infinite, or scales that make such.</summary>
    ValueNotFinite,
    /// <summary>A manifest of hashes is not what it must be.</summary>
    ManifestInvalid,
    /// <summary>Tensors are not those that a manifest describes.</summary>
    ManifestMismatch,
    /// <summary>A map of tensor names is not what it must be, or does not fit the tensors.</summary>
    NameMapInvalid,
    /// <summary>A model's configuration lacks a field that is needed, or has another value there than one that can be.</summary>
    ConfigInvalid,
    /// <summary>A named limit was exceeded.</summary>
    LimitExceeded,
    /// <summary>The tensors are not those that a model's parameters take.</summary>
    ModelMismatch,
    /// <summary>A state was saved by another number of ranks.</summary>
    WorldSizeMismatch,
    /// <summary>No tensor of that name is there.</summary>
    TensorNotFound,
}
