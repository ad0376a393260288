namespace IlgpuLoader.Formats.Pickle;

/// <summary>What stands in a pickle for something kept beside it: a storage.</summary>
/// <param name="id">What BINPERSID took from the stack.</param>
internal sealed class PickleStorageReference(PickleTuple id) : PickleContainer
{
    /// <summary>The tuple that names it, such as <c>('storage', torch.FloatStorage, '0', 'cpu', 12)</c>.</summary>
    public PickleTuple Id { get; } = id;

    internal override int ChildCount => 1;

    internal override object? ChildAt(int index) => Id;
}
