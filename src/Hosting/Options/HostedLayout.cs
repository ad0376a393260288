namespace IlgpuLoader.Hosting;

/// <summary>What a hosted model is made of.</summary>
public enum HostedLayout
{
    /// <summary>The checkpoint's own tensors, under their own names, of any format; a reload loads the new ones and takes them all at once.</summary>
    Checkpoint,

    /// <summary>The parameters of the model's architecture, packed, split and processed by its quantisation; a reload replaces them layer by layer, in place.</summary>
    Model,

    /// <summary>What each rank has saved of an architecture's parameters (<c>ilgpu-loader shard</c>); a reload replaces them layer by layer, in place.</summary>
    Sharded,
}
