namespace IlgpuLoader.Loading;

/// <summary>A format that a conversion writes.</summary>
public enum OutputFormat
{
    /// <summary>safetensors: the 22 types of its headers, ties named in the metadata, an index beside several shards.</summary>
    Safetensors,

    /// <summary>
    /// GGUF of version 3: the types that ggml has, blocks among them; no ties, at most four dimensions and names of 63 bytes; the
    /// parts of a split model are numbered in their metadata.
    /// </summary>
    Gguf,

    /// <summary>
    /// PyTorch's archive with a dict of tensors, as <c>torch.load(weights_only=True)</c> reads it: the types that PyTorch has, ties as
    /// one storage, no metadata, an index beside several shards.
    /// </summary>
    Torch,

    /// <summary>
    /// An archive of NumPy arrays: types of whole bytes, those that NumPy lacks as bytes with a record of what they are; no ties,
    /// no metadata.
    /// </summary>
    Npz,
}
