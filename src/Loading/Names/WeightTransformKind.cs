namespace IlgpuLoader.Loading;

/// <summary>What a <see cref="WeightTransform"/> does to a GGUF tensor so that it is the checkpoint's.</summary>
public enum WeightTransformKind
{
    /// <summary>Nothing: both are the same.</summary>
    None,
    /// <summary>The rows of each attention head, stored as pairs, become two halves.</summary>
    Unpermute,
    /// <summary>The way back from <see cref="Unpermute"/>: two halves become pairs.</summary>
    Permute,
    /// <summary>One is subtracted from every value.</summary>
    MinusOne,
    /// <summary>The way back from <see cref="MinusOne"/>: one is added.</summary>
    PlusOne,
    /// <summary>The two dimensions of a matrix are exchanged.</summary>
    Transpose,
    /// <summary>Some of the rows.</summary>
    Rows,
    /// <summary>One index of the first dimension, which is gone from the result.</summary>
    Expert,
}
