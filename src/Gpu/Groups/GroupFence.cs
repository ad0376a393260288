namespace IlgpuLoader.Gpu;

/// <summary>A point that every member of a group has to pass.</summary>
internal sealed class GroupFence(Fence[] fences) : Fence
{
    public override bool HasPassed => Array.TrueForAll(fences, fence => fence.HasPassed);

    public override async ValueTask WaitAsync(CancellationToken cancellationToken = default)
    {
        foreach (var fence in fences)
        {
            await fence.WaitAsync(cancellationToken).ConfigureAwait(false);
        }
    }
}
