using IlgpuLoader.Formats;
using IlgpuLoader.Loading;

namespace IlgpuLoader.Cli.Commands;

/// <summary>A model that is laid out, and the checkpoint that its weights are in. Owns both.</summary>
/// <param name="Checkpoint">The weights.</param>
/// <param name="Context">What the model is made of.</param>
/// <param name="Module">The model.</param>
internal sealed record OpenedModel(Checkpoint Checkpoint, ModelContext Context, Module Module) : IAsyncDisposable
{
    /// <summary>Frees the parameters and closes the files.</summary>
    public ValueTask DisposeAsync()
    {
        Module.Dispose();
        return Checkpoint.DisposeAsync();
    }
}
