namespace IlgpuLoader.Gpu;

/// <summary>
/// A block type in vectors: takes a block apart into quants of 8 bits and scales, 32 values at a time. Scaling, narrowing and
/// storing them is the output's business, which exists once for every width and target.
/// </summary>
internal unsafe interface IBlockVectors
{
    /// <summary>Decodes one block: hands all its units, in any order, to the output. Reads nothing beyond the block.</summary>
    static abstract void Decode<TOutput>(byte* block, TOutput output)
        where TOutput : struct, IQuantOutput;
}
