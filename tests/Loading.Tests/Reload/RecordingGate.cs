namespace IlgpuLoader.Loading.Tests;

/// <summary>A gate that writes down what is asked of it.</summary>
internal sealed class RecordingGate : ILayerGate
{
    private readonly List<string> _steps = [];
    private int _closings;

    /// <summary>What was asked, in its order.</summary>
    public IReadOnlyList<string> Steps => _steps;

    /// <summary>The layer that cannot be closed; null for none.</summary>
    public string? Busy { get; init; }

    /// <summary>Called before each closing with its number, counted from 1.</summary>
    public Func<int, Task>? BeforeClosing { get; init; }

    public async ValueTask<IDisposable?> CloseAsync(ModelLayer layer, CancellationToken cancellationToken)
    {
        await (BeforeClosing?.Invoke(++_closings) ?? Task.CompletedTask);
        cancellationToken.ThrowIfCancellationRequested();
        _steps.Add($"close {layer.Name}");
        return layer.Name == Busy ? null : new Opening(this, layer);
    }

    public void BeginCopy(ModelLayer layer) => _steps.Add($"begin {layer.Name}");

    public void EndCopy(ModelLayer layer) => _steps.Add($"end {layer.Name}");

    private sealed class Opening(RecordingGate gate, ModelLayer layer) : IDisposable
    {
        public void Dispose() => gate._steps.Add($"open {layer.Name}");
    }
}
