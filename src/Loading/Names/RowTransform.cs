namespace IlgpuLoader.Loading;

/// <summary>What a row of an architecture's table says about a weight or a bias; the numbers come from the GGUF's metadata.</summary>
internal enum RowTransform
{
    /// <summary>Nothing.</summary>
    None,
    /// <summary>The rows of each query head are unpermuted.</summary>
    UnpermuteHeads,
    /// <summary>The rows of each key and value head are unpermuted.</summary>
    UnpermuteKeyValueHeads,
    /// <summary>One is subtracted.</summary>
    MinusOne,
    /// <summary>The matrix is transposed.</summary>
    Transpose,
    /// <summary>The tensor holds all experts of a block.</summary>
    SplitExperts,
}
