namespace IlgpuLoader.Loading;

/// <summary>How a module's weight is split over tensor-parallel ranks. Weights are [outputs, inputs].</summary>
internal enum ParallelSplit
{
    /// <summary>Each rank has all of it.</summary>
    Replicated,

    /// <summary>Column-parallel: each rank has a share of the outputs, and of the bias.</summary>
    Outputs,

    /// <summary>Column-parallel by whole attention heads.</summary>
    Heads,

    /// <summary>Column-parallel by whole key and value heads; fewer heads than ranks are replicated in groups.</summary>
    KeyValueHeads,

    /// <summary>Row-parallel: each rank has a share of the inputs; the bias is added once and stays whole.</summary>
    Inputs,

    /// <summary>Row-parallel by whole attention heads.</summary>
    HeadInputs,

    /// <summary>Each rank has a share of the tokens; the last ones may have less.</summary>
    Vocabulary,

    /// <summary>Several weights in one tensor, whose parts would have to be split one by one.</summary>
    Packed,
}
