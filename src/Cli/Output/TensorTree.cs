using System.Text;
using IlgpuLoader.Formats;

namespace IlgpuLoader.Cli.Output;

/// <summary>Tensors as a tree by the parts of their dotted names, with totals for every branch.</summary>
internal sealed class TensorTree
{
    private readonly SortedDictionary<string, TensorTree> _children = new(NaturalOrder.Instance);
    private TensorInfo? _tensor;
    private string _note = "";
    private int _tensors;
    private long _bytes;

    /// <summary>Makes the tree.</summary>
    /// <param name="tensors">The tensors in it.</param>
    /// <param name="notes">What is said of those that share their bytes.</param>
    public static TensorTree Build(IReadOnlyCollection<TensorInfo> tensors, StorageNotes notes)
    {
        var root = new TensorTree();
        var storages = new HashSet<(CheckpointFile, long, long)>();
        foreach (var tensor in tensors)
        {
            // Bytes that several of these share count with the first of them.
            root.Add(tensor, storages.Add(StoredSize.StorageOf(tensor)) ? tensor.ByteLength : 0, notes.Describe(tensor));
        }

        return root;
    }

    public void WriteTo(TextWriter output, string indent = "")
    {
        var table = new TextTable("llr");
        AddRows(table);
        table.WriteTo(output, indent);
    }

    private void Add(TensorInfo tensor, long bytes, string note)
    {
        var node = this;
        node.Count(bytes);
        foreach (var part in tensor.Name.Split('.'))
        {
            if (!node._children.TryGetValue(part, out var child))
            {
                child = new TensorTree();
                node._children.Add(part, child);
            }

            node = child;
            node.Count(bytes);
        }

        (node._tensor, node._note) = (tensor, note);
    }

    private void Count(long bytes)
    {
        _tensors++;
        _bytes += bytes;
    }

    private string Describe(TensorInfo tensor) => $"{tensor.DType.Name} {tensor.Shape}{(_note.Length > 0 ? $", {_note}" : "")}";

    // A name of a hundred thousand dots makes a branch as deep: the walk keeps its own stack.
    private void AddRows(TextTable table)
    {
        var pending = new Stack<(string Indent, string Name, TensorTree Node)>();
        foreach (var (name, node) in _children.Reverse())
        {
            pending.Push(("", name, node));
        }

        while (pending.TryPop(out var next))
        {
            var (label, node) = (new StringBuilder(next.Indent).Append(Quoted.Plain(next.Name)), next.Node);
            // A chain of branches with one child each is one line.
            while (node._tensor is null && node._children.Count == 1)
            {
                var (name, child) = node._children.First();
                label.Append('.').Append(Quoted.Plain(name));
                node = child;
            }

            table.Add(
                label.ToString(),
                node._tensor is { } tensor ? node.Describe(tensor) : $"{Sizes.Count(node._tensors, "tensor")}",
                Sizes.Format(node._children.Count == 0 ? node._tensor!.DataByteLength : node._bytes));
            foreach (var (name, child) in node._children.Reverse())
            {
                pending.Push((next.Indent + "  ", name, child));
            }
        }
    }
}
