using System.Collections.Frozen;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

[Trait("Area", "Reload")]
public sealed class HotReloadGateTests : IDisposable
{
    private static readonly TimeSpan Timeout = TimeSpan.FromSeconds(8);
    private readonly ManualTime _time = new();
    private readonly HotLayer[] _layers;
    private readonly HotReloadGate _gate;

    public HotReloadGateTests()
    {
        _layers = [.. Enumerable.Range(0, 3).Select(i => new HotLayer(new ModelLayer($"layers.{i}", [$"layers.{i}"], []), _time))];
        _gate = new HotReloadGate(_layers.ToFrozenDictionary(layer => layer.Layer), new LayerGate(_time), 2, Timeout, _time, () => { });
    }

    public void Dispose() => _gate.Dispose();

    [Fact]
    public async Task Close_WhileOthersAreClosed_AllShareOneTimeout()
    {
        await EnterAsync(0, 1, 2);
        var closing = Close(0);
        await _time.WaitForTimersAsync();
        _time.Advance(Timeout / 2);
        _layers[0].Gate.Leave();
        using var first = await closing;
        Assert.NotNull(first);

        closing = Close(1);
        await _time.WaitForTimersAsync();
        _time.Advance(Timeout / 4);
        _layers[1].Gate.Leave();
        using var second = await closing;
        Assert.NotNull(second);

        // A quarter is left, and readers of the first wait no longer than the whole.
        closing = Close(2);
        await _time.WaitForTimersAsync();
        _time.Advance(Timeout / 4);
        Assert.Null(await closing);
    }

    [Fact]
    public async Task Close_BehindOnesThatAreOpenAgain_HasItsWholeTimeout()
    {
        await EnterAsync(0, 1);
        var closing = Close(0);
        await _time.WaitForTimersAsync();
        _time.Advance(Timeout / 2);
        _layers[0].Gate.Leave();
        var first = await closing;
        first!.Dispose();
        first.Dispose();

        closing = Close(1);
        await _time.WaitForTimersAsync();
        _time.Advance(Timeout - TimeSpan.FromMilliseconds(1));
        Assert.False(closing.IsCompleted);
        _layers[1].Gate.Leave();
        using var second = await closing;
        Assert.NotNull(second);
    }

    private async Task EnterAsync(params int[] layers)
    {
        foreach (var layer in layers)
        {
            await _layers[layer].Gate.EnterAsync(CancellationToken.None);
        }
    }

    private Task<IDisposable?> Close(int layer) => _gate.CloseAsync(_layers[layer].Layer, CancellationToken.None).AsTask();
}
